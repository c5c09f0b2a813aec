/* A host whose TCP is lwIP's (Debian's liblwip), on a tap device that it makes: a server with a behaviour per port, or one call.
 *
 *     cc -O2 -o peer peer.c $(pkg-config --cflags --libs lwip)
 *     peer DEVICE ADDRESS GATEWAY serve                   the network is a /24
 *     peer DEVICE ADDRESS GATEWAY call HOST PORT FILE     goes on when a line comes on standard input
 *
 * It says {"ready":1} when the device is there. `serve`: ports ending in 01 echo; ports ending in 04 speak first, finish, and count what
 * still comes; all others refuse. `call`: sends the file, finishes, and compares what comes back until the other end has finished.
 * One JSON object a line, as the other hosts of these tests do.
 *
 * Everything of TCP runs in lwIP's own thread, in callbacks: its "raw" interface, which is the one that shows how its TCP behaves.
 * Left out: IPv6 (the library has it; what is tried here is its TCP). What the library is built with is Debian's choice: window scale by
 * one, a window of 65,535 bytes, NewReno; neither selective acknowledgments nor timestamps. The device's driver is our own: the package's
 * (tapif) writes frames of more than 592 bytes past the end of its pool's buffers.
 */

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <lwip/init.h>
#include <lwip/ip4_addr.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
#include <netif/etharp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const char GREETING[] = "that is all\n";

enum role { ECHO, FINISHES_FIRST, CALL };

struct connection {
    struct tcp_pcb *pcb;
    enum role role;
    int established;
    /* Received and not yet sent back; of the first, so much is sent. */
    struct pbuf *waiting;
    u16_t offset;
    int peer_finished;
    u64_t sent, received;
};

/* What a call sends and expects. */
static const char *content;
static u64_t length;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));


static void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static void finish_program(void) {
    /* The last acknowledgment is already with the device: output is synchronous. */
    exit(0);
}

static void forget(struct connection *c) {
    if (c->pcb) {
        tcp_arg(c->pcb, NULL);
        tcp_recv(c->pcb, NULL);
        tcp_sent(c->pcb, NULL);
        tcp_err(c->pcb, NULL);
        tcp_poll(c->pcb, NULL, 0);
        if (tcp_close(c->pcb) != ERR_OK) {
            tcp_abort(c->pcb);
        }
    }
    if (c->waiting) {
        pbuf_free(c->waiting);
    }
    free(c);
}

/* As much as fits; less is no failure: the rest goes when something has been acknowledged, or by the poll timer. */
static u16_t write_some(struct connection *c, const void *data, u64_t size) {
    u64_t room = tcp_sndbuf(c->pcb);
    u16_t part = (u16_t)LWIP_MIN(LWIP_MIN(size, room), 0x4000);
    if (part == 0 || tcp_write(c->pcb, data, part, TCP_WRITE_FLAG_COPY) != ERR_OK) {
        return 0;
    }
    c->sent += part;
    return part;
}

static void echo(struct connection *c) {
    while (c->waiting) {
        struct pbuf *first = c->waiting;
        u16_t part = write_some(c, (char *)first->payload + c->offset, first->len - c->offset);
        if (part == 0 && c->offset < first->len) {
            return;
        }
        c->offset += part;
        tcp_recved(c->pcb, part);
        if (c->offset == first->len) {
            c->waiting = first->next;
            c->offset = 0;
            if (c->waiting) {
                pbuf_ref(c->waiting);
            }
            pbuf_free(first);
        }
    }
}

/* Goes on as far as the connection lets it; gives whether the connection is still there. */
static int drive(struct connection *c) {
    if (c->role == CALL && c->sent < length) {
        while (c->sent < length && write_some(c, content + c->sent, length - c->sent) > 0) {
        }
        if (c->sent == length) {
            tcp_shutdown(c->pcb, 0, 1);
        }
    }
    if (c->role == ECHO) {
        echo(c);
        if (c->peer_finished && !c->waiting) {
            say("{\"event\":\"ended\",\"how\":\"closed\",\"bytes\":%llu}", (unsigned long long)c->received);
            forget(c);
            return 0;
        }
    }
    tcp_output(c->pcb);
    return 1;
}

/* Compares a call's answer at its place. */
static int is_expected(struct connection *c, struct pbuf *p) {
    if (c->received + p->tot_len > length) {
        return 0;
    }
    return pbuf_memcmp(p, 0, content + c->received, p->tot_len) == 0;
}

static void end(struct connection *c) {
    if (c->role == CALL) {
        int whole = c->sent == length && c->received == length;
        say("{\"result\":\"%s\",\"sent\":%llu,\"received\":%llu}", whole ? "ok" : "cut", (unsigned long long)c->sent,
            (unsigned long long)c->received);
        forget(c);
        finish_program();
        return;
    }
    say("{\"event\":\"ended\",\"how\":\"closed\",\"bytes\":%llu}", (unsigned long long)c->received);
    forget(c);
}

static err_t on_receive(void *argument, struct tcp_pcb *pcb, struct pbuf *p, err_t error) {
    struct connection *c = argument;
    (void)pcb, (void)error;
    if (!p) {
        c->peer_finished = 1;
        if (c->role == ECHO) {
            drive(c);
        } else {
            end(c);
        }
        return ERR_OK;
    }
    if (c->role == CALL && !is_expected(c, p)) {
        say("{\"result\":\"different\",\"near\":%llu}", (unsigned long long)c->received);
        finish_program();
    }
    c->received += p->tot_len;
    if (c->role == ECHO) {
        if (c->waiting) {
            pbuf_cat(c->waiting, p);
        } else {
            c->waiting = p;
        }
    } else {
        tcp_recved(c->pcb, p->tot_len);
        pbuf_free(p);
    }
    drive(c);
    return ERR_OK;
}

static err_t on_sent(void *argument, struct tcp_pcb *pcb, u16_t size) {
    (void)pcb, (void)size;
    drive(argument);
    return ERR_OK;
}

static err_t on_poll(void *argument, struct tcp_pcb *pcb) {
    (void)pcb;
    drive(argument);
    return ERR_OK;
}

/* By now lwIP has freed its side. */
static void on_error(void *argument, err_t error) {
    struct connection *c = argument;
    const char *how = error == ERR_RST ? (c->established ? "reset" : "refused") : "timeout";
    c->pcb = NULL;
    if (c->role == CALL) {
        say("{\"result\":\"%s\",\"sent\":%llu,\"received\":%llu}", how, (unsigned long long)c->sent,
            (unsigned long long)c->received);
        finish_program();
    }
    say("{\"event\":\"ended\",\"how\":\"%s\",\"bytes\":%llu}", how, (unsigned long long)c->received);
    forget(c);
}

static struct connection *adopt(struct tcp_pcb *pcb, enum role role) {
    struct connection *c = calloc(1, sizeof *c);
    c->pcb = pcb;
    c->role = role;
    tcp_nagle_disable(pcb);
    tcp_arg(pcb, c);
    tcp_recv(pcb, on_receive);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    tcp_poll(pcb, on_poll, 1);
    return c;
}

static err_t on_connected(void *argument, struct tcp_pcb *pcb, err_t error) {
    struct connection *c = argument;
    (void)pcb, (void)error;
    c->established = 1;
    drive(c);
    return ERR_OK;
}

static err_t on_accept(void *argument, struct tcp_pcb *pcb, err_t error) {
    if (error != ERR_OK || !pcb) {
        return ERR_VAL;
    }
    enum role role = pcb->local_port % 100 == 4 ? FINISHES_FIRST : ECHO;
    struct connection *c = adopt(pcb, role);
    (void)argument;
    c->established = 1;
    if (role == FINISHES_FIRST) {
        write_some(c, GREETING, sizeof GREETING - 1);
        tcp_shutdown(pcb, 0, 1);
    }
    return ERR_OK;
}

static void serve(void) {
    static const u16_t ports[] = {8001, 8004, 8101, 8104};
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        struct tcp_pcb *pcb = tcp_new();
        if (tcp_bind(pcb, IP4_ADDR_ANY, ports[i]) != ERR_OK) {
            fprintf(stderr, "port %u is taken\n", ports[i]);
            exit(1);
        }
        tcp_accept(tcp_listen(pcb), on_accept);
    }
}

static void call(const char *host, const char *port) {
    ip_addr_t address;
    if (!ipaddr_aton(host, &address)) {
        fprintf(stderr, "%s is no address\n", host);
        exit(1);
    }
    struct connection *c = adopt(tcp_new(), CALL);
    err_t error = tcp_connect(c->pcb, &address, (u16_t)atoi(port), on_connected);
    if (error != ERR_OK) {
        fprintf(stderr, "tcp_connect: %d\n", error);
        exit(1);
    }
}

static void load(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    length = (u64_t)ftell(file);
    rewind(file);
    char *bytes = malloc(length + 1);
    if (!bytes || fread(bytes, 1, length, file) != length) {
        perror(path);
        exit(1);
    }
    fclose(file);
    content = bytes;
}

/* One frame at a time, whole: a buffer of exactly its length. */
static void *read_frames(void *argument) {
    struct netif *netif = argument;
    int device = *(int *)netif->state;
    char frame[1600];
    for (;;) {
        ssize_t size = read(device, frame, sizeof frame);
        if (size < 0) {
            perror("read");
            exit(1);
        }
        struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)size, PBUF_RAM);
        if (p && (pbuf_take(p, frame, (u16_t)size) != ERR_OK || netif->input(p, netif) != ERR_OK)) {
            /* Its queue is full: the frame is lost, as on any wire. */
            pbuf_free(p);
        }
    }
}

static err_t send_frame(struct netif *netif, struct pbuf *p) {
    char frame[1600];
    u16_t size = pbuf_copy_partial(p, frame, sizeof frame, 0);
    /* A device that is down loses frames, as a cable does. */
    return write(*(int *)netif->state, frame, size) == size ? ERR_OK : ERR_IF;
}

static err_t init_netif(struct netif *netif) {
    static const u8_t address[] = {2, 0, 0, 0, 0, 0x77};
    memcpy(netif->hwaddr, address, sizeof address);
    netif->hwaddr_len = sizeof address;
    netif->name[0] = 't';
    netif->name[1] = 'p';
    netif->mtu = 1500;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    netif->output = etharp_output;
    netif->linkoutput = send_frame;
    return ERR_OK;
}

static int open_device(const char *name) {
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
    int device = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (device < 0 || ioctl(device, TUNSETIFF, &request) != 0) {
        perror(name);
        exit(1);
    }
    return device;
}

static void started(void *semaphore) {
    sem_post(semaphore);
}

static void attach(const char *name, const char *address, const char *gateway) {
    static struct netif netif;
    static int device;
    ip4_addr_t own, mask, router;
    if (!ip4addr_aton(address, &own) || !ip4addr_aton(gateway, &router)) {
        fprintf(stderr, "%s or %s is no IPv4 address\n", address, gateway);
        exit(1);
    }
    IP4_ADDR(&mask, 255, 255, 255, 0);
    device = open_device(name);
    LOCK_TCPIP_CORE();
    netif_add(&netif, &own, &mask, &router, &device, init_netif, tcpip_input);
    netif_set_default(&netif);
    netif_set_link_up(&netif);
    netif_set_up(&netif);
    UNLOCK_TCPIP_CORE();
    pthread_t reader;
    if (pthread_create(&reader, NULL, read_frames, &netif) != 0) {
        perror("pthread_create");
        exit(1);
    }
}

int main(int count, char **words) {
    int is_call = count == 8 && strcmp(words[4], "call") == 0;
    if (!is_call && !(count == 5 && strcmp(words[4], "serve") == 0)) {
        fprintf(stderr, "usage: peer DEVICE ADDRESS GATEWAY serve|call HOST PORT FILE\n");
        return 2;
    }
    /* lwIP takes its ports and sequence numbers from rand(). */
    srand((unsigned)(time(NULL) ^ getpid() << 8));
    sem_t ready;
    sem_init(&ready, 0, 0);
    tcpip_init(started, &ready);
    sem_wait(&ready);
    attach(words[1], words[2], words[3]);
    if (is_call) {
        load(words[7]);
    } else {
        LOCK_TCPIP_CORE();
        serve();
        UNLOCK_TCPIP_CORE();
    }
    say("{\"ready\":1}");
    if (is_call) {
        getchar();
        LOCK_TCPIP_CORE();
        call(words[5], words[6]);
        UNLOCK_TCPIP_CORE();
    }
    for (;;) {
        pause();
    }
}
