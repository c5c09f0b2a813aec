//! What a page says, and that nothing a client said becomes part of it unescaped.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Page, Pages, http_date};

const PAGE: Page<'static> = Page {
    status: 403,
    info: "no <script>alert('x')</script> & \"co\"\r\nX: y",
    host: "e.com",
    location: None,
    now: Duration::from_secs(784_111_777),
    close: true,
    head_only: false,
};

fn render(pages: &Pages, page: &Page<'_>) -> String {
    String::from_utf8(pages.render(page).to_vec()).expect("it is text")
}

#[test]
fn a_page_is_escaped_and_has_its_length() {
    let text = render(&Pages::default(), &PAGE);
    let (head, body) = text.split_once("\r\n\r\n").expect("there is a head");
    assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), "{head}");
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", body.len())) && head.ends_with("Connection: close"),
        "{head}"
    );
    assert!(body.contains("no &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;co&quot;  X: y"), "{body}");
}

#[test]
fn the_operators_page_has_macros() {
    let templates =
        BTreeMap::from([(403, "@STATUS@ @REASON@ @HOST@ a@b @INFO@ @NO@".into()), (0, "any @STATUS@".into())]);
    let pages = Pages { templates, silent: false };
    let page = Page { info: "why", close: false, ..PAGE };
    assert!(render(&pages, &page).ends_with("no-store\r\n\r\n403 Forbidden e.com a@b why @NO@"));
    assert!(render(&pages, &Page { status: 502, ..page }).ends_with("\r\n\r\nany 502"));
    assert!(render(&pages, &Page { head_only: true, ..page }).ends_with("\r\n\r\n"));
    let elsewhere = Page { status: 302, location: Some("http://e/"), ..page };
    assert!(render(&pages, &elsewhere).contains("\r\nLocation: http://e/\r\n"));
}

#[test]
fn long_words_are_cut() {
    let long = "<".repeat(100_000);
    assert!(render(&Pages::default(), &Page { info: &long, ..PAGE }).len() < 4096);
}

#[test]
fn dates() {
    for (seconds, date) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (1_767_225_599, "Wed, 31 Dec 2025 23:59:59 GMT"),
        (4_102_444_800, "Fri, 01 Jan 2100 00:00:00 GMT"),
    ] {
        assert_eq!(http_date(Duration::from_secs(seconds)), date);
    }
}
