/*
 * What the bindings are made from: DPDK's headers, and the few things in them that are no functions (macros,
 * thread-local variables, bit fields, unions) as static inlines and constants.
 *
 * Only API that 22.11, 23.11 and 24.11 all have. Members whose place in unions differs between those releases are
 * reached through accessors or offsets here, so that the Rust side never names an anonymous union.
 */
#ifndef LIMPID_DPDK_WRAPPER_H
#define LIMPID_DPDK_WRAPPER_H

#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>
#include <rte_thash.h>
#include <rte_version.h>

/* rte_errno is a thread-local variable behind a macro. */
static inline int limpid_errno(void) { return rte_errno; }

/* struct rte_mbuf moved its members in and out of anonymous unions between releases; their offsets are what counts. */
enum limpid_mbuf_offset {
	LIMPID_MBUF_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr),
	LIMPID_MBUF_DATA_OFF = offsetof(struct rte_mbuf, data_off),
	LIMPID_MBUF_REFCNT = offsetof(struct rte_mbuf, refcnt),
	LIMPID_MBUF_NB_SEGS = offsetof(struct rte_mbuf, nb_segs),
	LIMPID_MBUF_OL_FLAGS = offsetof(struct rte_mbuf, ol_flags),
	LIMPID_MBUF_PKT_LEN = offsetof(struct rte_mbuf, pkt_len),
	LIMPID_MBUF_DATA_LEN = offsetof(struct rte_mbuf, data_len),
	LIMPID_MBUF_VLAN_TCI = offsetof(struct rte_mbuf, vlan_tci),
	LIMPID_MBUF_BUF_LEN = offsetof(struct rte_mbuf, buf_len),
	LIMPID_MBUF_POOL = offsetof(struct rte_mbuf, pool),
	LIMPID_MBUF_NEXT = offsetof(struct rte_mbuf, next),
	LIMPID_MBUF_TX_OFFLOAD = offsetof(struct rte_mbuf, tx_offload),
};

/* Widths of the members above that are not pointers: checked here, relied on there. */
_Static_assert(sizeof(((struct rte_mbuf *)0)->data_off) == 2, "data_off is 16 bits");
_Static_assert(sizeof(((struct rte_mbuf *)0)->refcnt) == 2, "refcnt is 16 bits");
_Static_assert(sizeof(((struct rte_mbuf *)0)->nb_segs) == 2, "nb_segs is 16 bits");
_Static_assert(sizeof(((struct rte_mbuf *)0)->ol_flags) == 8, "ol_flags is 64 bits");
_Static_assert(sizeof(((struct rte_mbuf *)0)->pkt_len) == 4, "pkt_len is 32 bits");
_Static_assert(sizeof(((struct rte_mbuf *)0)->data_len) == 2, "data_len is 16 bits");
_Static_assert(sizeof(((struct rte_mbuf *)0)->vlan_tci) == 2, "vlan_tci is 16 bits");
_Static_assert(sizeof(((struct rte_mbuf *)0)->buf_len) == 2, "buf_len is 16 bits");
_Static_assert(sizeof(((struct rte_mbuf *)0)->tx_offload) == 8, "tx_offload is 64 bits");

/* Flags are macros of macros, which bindgen does not evaluate. */
static const uint64_t LIMPID_MBUF_RX_IP_MASK = RTE_MBUF_F_RX_IP_CKSUM_MASK;
static const uint64_t LIMPID_MBUF_RX_IP_GOOD = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
static const uint64_t LIMPID_MBUF_RX_IP_BAD = RTE_MBUF_F_RX_IP_CKSUM_BAD;
static const uint64_t LIMPID_MBUF_RX_L4_MASK = RTE_MBUF_F_RX_L4_CKSUM_MASK;
static const uint64_t LIMPID_MBUF_RX_L4_GOOD = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
static const uint64_t LIMPID_MBUF_RX_L4_BAD = RTE_MBUF_F_RX_L4_CKSUM_BAD;
static const uint64_t LIMPID_MBUF_RX_VLAN_STRIPPED = RTE_MBUF_F_RX_VLAN_STRIPPED;
/* What says where the buffer is, and must survive everything that is done to a packet. */
static const uint64_t LIMPID_MBUF_BUFFER_FLAGS = RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT;
static const uint64_t LIMPID_MBUF_TX_IPV4 = RTE_MBUF_F_TX_IPV4;
static const uint64_t LIMPID_MBUF_TX_IPV6 = RTE_MBUF_F_TX_IPV6;
static const uint64_t LIMPID_MBUF_TX_IP_CKSUM = RTE_MBUF_F_TX_IP_CKSUM;
static const uint64_t LIMPID_MBUF_TX_TCP_CKSUM = RTE_MBUF_F_TX_TCP_CKSUM;
static const uint64_t LIMPID_MBUF_TX_UDP_CKSUM = RTE_MBUF_F_TX_UDP_CKSUM;
static const uint64_t LIMPID_MBUF_TX_TCP_SEG = RTE_MBUF_F_TX_TCP_SEG;

static const uint64_t LIMPID_RX_VLAN_STRIP = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
static const uint64_t LIMPID_RX_IPV4_CKSUM = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
static const uint64_t LIMPID_RX_UDP_CKSUM = RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
static const uint64_t LIMPID_RX_TCP_CKSUM = RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
static const uint64_t LIMPID_RX_SCATTER = RTE_ETH_RX_OFFLOAD_SCATTER;
static const uint64_t LIMPID_TX_IPV4_CKSUM = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
static const uint64_t LIMPID_TX_UDP_CKSUM = RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
static const uint64_t LIMPID_TX_TCP_CKSUM = RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
static const uint64_t LIMPID_TX_TCP_TSO = RTE_ETH_TX_OFFLOAD_TCP_TSO;
static const uint64_t LIMPID_TX_MULTI_SEGS = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;

static const uint64_t LIMPID_RSS_IP = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER |
	RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_OTHER;
static const uint64_t LIMPID_RSS_TCP = RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP;
static const uint64_t LIMPID_RSS_UDP = RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP;

static const uint32_t LIMPID_MTU_DEFAULT = RTE_ETHER_MTU;
static const uint32_t LIMPID_PORTS_MAX = RTE_MAX_ETHPORTS;
static const uint32_t LIMPID_LCORES_MAX = RTE_MAX_LCORE;
static const uint32_t LIMPID_HEADROOM = RTE_PKTMBUF_HEADROOM;
static const uint32_t LIMPID_MEMPOOL_CACHE_MAX = RTE_MEMPOOL_CACHE_MAX_SIZE;
static const uint32_t LIMPID_LOG_WARNING = RTE_LOG_WARNING;
static const uint32_t LIMPID_LOG_ERR = RTE_LOG_ERR;

/*
 * rte_pktmbuf_pool_create with one difference: on ordinary pages, objects may cross them. EAL would otherwise give each
 * buffer a page of 4 KiB, so that a NIC sees it whole in physical memory; but on ordinary pages addresses are virtual
 * for every device, and there they are contiguous.
 */
static inline struct rte_mempool *limpid_pool_create(const char *name, unsigned int buffers, unsigned int cache,
						     uint16_t room, int socket)
{
	struct rte_pktmbuf_pool_private private = { .mbuf_data_room_size = room };
	unsigned int flags = rte_eal_has_hugepages() ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
	struct rte_mempool *pool = rte_mempool_create_empty(name, buffers, sizeof(struct rte_mbuf) + room, cache,
							    sizeof(private), socket, flags);

	if (pool == NULL)
		return NULL;
	int ret = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (ret == 0) {
		rte_pktmbuf_pool_init(pool, &private);
		ret = rte_mempool_populate_default(pool);
	}
	if (ret < 0) {
		rte_mempool_free(pool);
		rte_errno = -ret;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

/*
 * Buffers in the pool's shared part. rte_mempool_avail_count adds the caches of all possible lcores, which is a walk
 * over 128 cache lines; the driver's own count is two loads, but the function around it is not exported.
 */
static inline unsigned int limpid_mempool_shared_count(const struct rte_mempool *pool)
{
	return rte_mempool_get_ops(pool->ops_index)->get_count(pool);
}

/* Link state is bit fields, in a union from 24.11 on. */
struct limpid_link {
	uint32_t speed_mbps; /* 0: not known */
	uint8_t up;
	uint8_t full_duplex;
};

static inline int limpid_link_get(uint16_t port, struct limpid_link *out)
{
	struct rte_eth_link link;

	memset(&link, 0, sizeof(link));
	int ret = rte_eth_link_get_nowait(port, &link);
	if (ret != 0)
		return ret;
	out->speed_mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
	out->up = link.link_status == RTE_ETH_LINK_UP;
	out->full_duplex = link.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	return 0;
}

/* What the configuration of a port needs of struct rte_eth_dev_info, which grows with each release. */
struct limpid_port_info {
	const char *driver;
	struct rte_device *device;
	uint64_t rx_offloads, tx_offloads, rss_types;
	uint32_t rx_packet_max;
	uint16_t rx_queues_max, tx_queues_max;
	uint16_t mtu_min, mtu_max;
	uint8_t rss_key_len;
};

static inline int limpid_port_info_get(uint16_t port, struct limpid_port_info *out)
{
	struct rte_eth_dev_info info;

	memset(&info, 0, sizeof(info));
	int ret = rte_eth_dev_info_get(port, &info);
	if (ret != 0)
		return ret;
	out->driver = info.driver_name;
	out->device = (struct rte_device *)(uintptr_t)info.device;
	out->rx_offloads = info.rx_offload_capa;
	out->tx_offloads = info.tx_offload_capa;
	out->rss_types = info.flow_type_rss_offloads;
	out->rx_packet_max = info.max_rx_pktlen;
	out->rx_queues_max = info.max_rx_queues;
	out->tx_queues_max = info.max_tx_queues;
	out->mtu_min = info.min_mtu;
	out->mtu_max = info.max_mtu;
	out->rss_key_len = info.hash_key_size;
	return 0;
}

/* struct rte_eth_conf holds bit fields and release-dependent members; only these of it are ever set. */
struct limpid_port_conf {
	uint64_t rx_offloads, tx_offloads, rss_types;
	uint8_t *rss_key;
	uint32_t mtu; /* 0: the driver's default */
	uint16_t queues;
	uint8_t rss_key_len;
};

static inline int limpid_port_configure(uint16_t port, const struct limpid_port_conf *in)
{
	struct rte_eth_conf conf;

	memset(&conf, 0, sizeof(conf));
	conf.rxmode.offloads = in->rx_offloads;
	conf.rxmode.mtu = in->mtu;
	conf.txmode.offloads = in->tx_offloads;
	if (in->rss_types != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_key = in->rss_key;
		conf.rx_adv_conf.rss_conf.rss_key_len = in->rss_key_len;
		conf.rx_adv_conf.rss_conf.rss_hf = in->rss_types;
	}
	return rte_eth_dev_configure(port, in->queues, in->queues, &conf);
}

/* Maximum transmission unit of a kernel interface, seen from this thread's network namespace; negative errno. */
static inline int limpid_interface_mtu(const char *name)
{
	struct ifreq request;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	memset(&request, 0, sizeof(request));
	strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
	int ret = ioctl(fd, SIOCGIFMTU, &request) == 0 ? request.ifr_mtu : -errno;
	close(fd);
	return ret;
}

/* EAL's log goes to a stream of ours; the callback is handed each message whole, because rte_vlog flushes each. */
typedef ssize_t limpid_log_write(void *cookie, const char *bytes, size_t len);

static inline int limpid_log_open(limpid_log_write *write)
{
	cookie_io_functions_t functions = { .write = write };
	FILE *stream = fopencookie(NULL, "w", functions);

	if (stream == NULL)
		return -errno;
	return rte_openlog_stream(stream);
}

#endif
