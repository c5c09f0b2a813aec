//! A rule set in the form that both sides are given it in: Limpid's own, and translated for iptables-restore.
//!
//! Every rule gets its number as a comment, by which its counters are found again. Linux has no table tproxy and no match
//! of that name: the table's PREROUTING is walked at the end of mangle's, and the match is `-m socket --transparent`. What
//! TPROXY took does not come to table nat here, so it is let pass there first (`exceptions.txt` has both without). All
//! four tables of Linux are given each time, so that nothing stays of the set before; what the kernel itself would say
//! (answers, errors, solicitations) is dropped in raw OUTPUT, where nothing is compared.

use std::fmt::Write as _;

/// A rule set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) tables: Vec<Table>,
    /// Linux is asked these and no others: its table nat sees what TPROXY took.
    pub(crate) whole: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// Chains with their policies; `-` for those of the user.
    pub(crate) chains: Vec<(String, String)>,
    /// Chain, and the rest.
    pub(crate) rules: Vec<(String, String)>,
}

/// The mark that leads a packet to a proxy in Linux.
pub(crate) const TO_PROXY: &str = " --tproxy-mark 0x80000000/0x80000000";
/// What Linux walks in the place of mangle's PREROUTING, and behind it, where there is a table tproxy.
const MANGLE: &str = "limpid-mangle";
const TPROXY: &str = "limpid-tproxy";
/// What TPROXY took, in Linux' table nat: by its mark; mangle INPUT may have changed that, and not the socket.
const TAKEN: &str = "-A PREROUTING -m mark --mark 0x80000000/0x80000000 -j ACCEPT\n\
                     -A INPUT -m socket --transparent -j ACCEPT\n";

impl Rules {
    /// A file's text, comments of rules left out.
    pub(crate) fn read(text: &str) -> Rules {
        let mut rules = Rules::default();
        for line in text.lines().map(str::trim) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            if let Some(name) = word.strip_prefix('*') {
                rules.tables.push(Table { name: name.to_owned(), ..Table::default() });
                continue;
            }
            let Some(table) = rules.tables.last_mut() else { continue };
            if let Some(chain) = word.strip_prefix(':') {
                table.chains.push((chain.to_owned(), rest.to_owned()));
            } else if let ("-A", Some((chain, rule))) = (word, rest.split_once(' ')) {
                table.rules.push((chain.to_owned(), rule.to_owned()));
            }
        }
        rules
    }

    pub(crate) fn has(&self, table: &str) -> bool {
        self.tables.iter().any(|of| of.name == table)
    }

    /// The name of a rule's counters, by its place in the file.
    pub(crate) fn name(number: usize) -> String {
        format!("r{number}")
    }

    /// As Limpid reads it.
    pub(crate) fn for_limpid(&self) -> String {
        let mut text = String::new();
        self.numbered(|number, table, line| match line {
            None => {
                let end = if text.is_empty() { "" } else { "COMMIT\n" };
                let _ = writeln!(text, "{end}*{}", table.name);
                table.chains.iter().for_each(|(chain, policy)| _ = writeln!(text, ":{chain} {policy}"));
            }
            Some((chain, rule)) => {
                let _ = writeln!(text, "-A {chain} -m comment --comment {} {rule}", Rules::name(number));
            }
        });
        text + "COMMIT\n"
    }

    /// As iptables-restore reads it.
    pub(crate) fn for_linux(&self) -> String {
        let tproxy = self.has("tproxy");
        let takes = self.tables.iter().any(|table| table.rules.iter().any(|(_, rule)| rule.contains("-j TPROXY")));
        let mut parts = ["raw", "mangle", "nat", "filter"].map(|table| (table, String::new(), String::new()));
        self.numbered(|number, table, line| {
            let name = if table.name == "tproxy" { "mangle" } else { &*table.name };
            let Some((_, chains, rules)) = parts.iter_mut().find(|(of, ..)| *of == name) else { return };
            let place = |chain: &str| match (&*table.name, chain) {
                ("tproxy", "PREROUTING") => TPROXY.to_owned(),
                ("mangle", "PREROUTING") if tproxy => MANGLE.to_owned(),
                _ => chain.to_owned(),
            };
            match line {
                None => {
                    for (chain, policy) in &table.chains {
                        let at = place(chain);
                        let policy = if at == *chain { policy } else { "-" };
                        let _ = writeln!(chains, ":{at} {policy}");
                    }
                }
                Some((chain, rule)) => {
                    let mut rule = rule.replace("-m tproxy", "-m socket --transparent");
                    if table.name == "tproxy" && rule.contains("-j TPROXY") {
                        rule.push_str(TO_PROXY);
                    }
                    let _ = writeln!(rules, "-A {} -m comment --comment {} {rule}", place(chain), Rules::name(number));
                }
            }
        });
        let mut text = String::new();
        for (table, mut chains, mut rules) in parts {
            // A policy stays until another is said.
            for chain in built_in(table) {
                if !chains.contains(&format!(":{chain} ")) {
                    let _ = writeln!(chains, ":{chain} ACCEPT");
                }
            }
            if table == "raw" {
                rules.push_str("-A OUTPUT -j DROP\n");
            }
            if table == "nat" && !self.whole && takes {
                rules.insert_str(0, TAKEN);
            }
            if table == "mangle" && tproxy {
                for chain in [MANGLE, TPROXY] {
                    if !chains.contains(chain) {
                        let _ = writeln!(chains, ":{chain} -");
                    }
                    let _ = writeln!(rules, "-A PREROUTING -j {chain}");
                }
            }
            let _ = writeln!(text, "*{table}\n{chains}{rules}COMMIT");
        }
        text
    }

    /// Tables and rules one after the other: a table's beginning is no rule.
    fn numbered<'a>(&'a self, mut hear: impl FnMut(usize, &'a Table, Option<(&'a str, &'a str)>)) {
        let mut number = 0;
        for table in &self.tables {
            hear(number, table, None);
            for (chain, rule) in &table.rules {
                hear(number, table, Some((chain, rule)));
                number += 1;
            }
        }
    }
}

fn built_in(table: &str) -> &'static [&'static str] {
    match table {
        "raw" => &["PREROUTING", "OUTPUT"],
        "mangle" => &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
        "nat" => &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
        _ => &["INPUT", "FORWARD", "OUTPUT"],
    }
}
