//! `rules gen`: macros, includes and choices, and what is said about those that are wrong.

use crate::limits::INCLUDE_DEPTH_MAX;
use crate::rules::{Named, generate};

const VAR: &str = "a comment\n#define SSH 192.168.1.4 192.168.1.5\n#define LAN 10.0.0.0/8\n#define NONE\n";

fn made(rules: &str, macros: &str, strict: bool) -> Result<(String, String), String> {
    let read = |name: &str| match name {
        "more.var" => Ok("#define MORE 172.16.0.0/12\n".to_owned()),
        "more.in" => Ok("-A INPUT -s LAN -j DROP\n".to_owned()),
        "self.in" => Ok("#include \"self.in\"\n".to_owned()),
        deep if deep.starts_with('d') => Ok(format!("#include \"d{deep}\"\n")),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let made = generate(Named { name: "i", text: rules }, Named { name: "v", text: macros }, strict, &read);
    made.map(|made| (made.text, made.warnings.to_string())).map_err(|faults| faults.to_string())
}

#[test]
fn rules_are_generated_with_their_origins() {
    let rules = "*filter\n#include \"more.in\"\n#ifdef SSH\n-A INPUT -p tcp -s SSH --dport 22 -j ACCEPT\n#else\n-A INPUT -j nonsense\n#endif\n#ifndef SSH\n-A INPUT -j nonsense\n#endif\nCOMMIT\n";
    let (text, warnings) = made(rules, VAR, true).unwrap();
    let expected = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n# more.in:1\n-A INPUT -s 10.0.0.0/8 -j DROP\n# i:4\n-A INPUT -s 192.168.1.4/32 -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -s 192.168.1.5/32 -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n";
    assert_eq!(text, expected);
    assert_eq!(warnings, "");
    // Canonical text is its own canonical text, and the same input makes the same bytes.
    assert_eq!(made(rules, VAR, true).unwrap().0, expected);
    assert_eq!(made(&text, "", true).unwrap().0.lines().filter(|l| l.starts_with("-A")).count(), 3);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let one = |rule: &str| format!("*filter\n{rule}\nCOMMIT\n");
    for (rules, macros, fault) in [
        (one(""), "#define A 1\n#define A 2\n".to_owned(), "v:2:1: macro `A` is defined twice, first in v:1"),
        (one(""), "#define A B\n#define B A\n".to_owned(), "macro `A` contains itself: A → B → A"),
        (one(""), "#define a-b 1\n".to_owned(), "v:1:1: a macro's name was expected"),
        (one("#include \"self.in\""), VAR.to_owned(), "self.in:1:1: `self.in` includes itself: i → self.in → self.in"),
        (one("#include \"gone\""), VAR.to_owned(), "i:2:1: `gone` cannot be read"),
        (one("#include gone"), VAR.to_owned(), "i:2:1: `#include \"file\"` was expected"),
        (one("#include \"d\""), VAR.to_owned(), &*format!("files are included deeper than {INCLUDE_DEPTH_MAX}")),
        (one("#ifdef A"), VAR.to_owned(), "i:2:1: `#ifdef` without `#endif`"),
        (one("#endif"), VAR.to_owned(), "i:2:1: `#endif` without `#ifdef`"),
        (one("#else"), VAR.to_owned(), "i:2:1: `#else` without `#ifdef`"),
        (one("-A INPUT -s NONE -j ACCEPT"), VAR.to_owned(), "i:2:1: macro `NONE` is empty: the rule is left out"),
        (one("-A INPUT -i LAN_ -j ACCEPT"), VAR.to_owned(), "i:2:13: no macro is called `LAN_`"),
        (one("#include \"more.in\""), String::new(), "more.in:1:13: `LAN` is no address"),
    ] {
        let said = made(&rules, &macros, true).expect_err(&rules);
        assert!(said.contains(fault), "{rules}{macros}\n  expected {fault}\n  said     {said}");
    }
    let (_, warnings) = made(&one("-A INPUT -s NONE -j ACCEPT"), VAR, false).unwrap();
    assert!(warnings.contains("macro `NONE` is empty"), "{warnings}");
    assert!(made(&one("#include \"more.in\""), "#include \"more.var\"\n#define LAN MORE\n", true).is_ok());
}
