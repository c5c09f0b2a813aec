//! `limpid set`: the sets of the running gateway, listed and changed without a reload.

use clap::Subcommand;
use control::client::Client;
use serde_json::{Value, json};

use super::{Done, Failure, say};

/// What can be done with sets.
#[derive(Debug, Subcommand)]
pub(super) enum SetCommand {
    /// List the sets, or the members of one
    List {
        /// The set
        name: Option<String>,
        /// How many members at most
        #[arg(long, default_value_t = control::limits::FLOWS_DEFAULT)]
        limit: usize,
    },
    /// Add members, such as 192.0.2.1, 192.0.2.0/24, 192.0.2.1,tcp:80 or "192.0.2.0/28 nomatch"
    Add {
        /// The set
        name: String,
        /// Its new members
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Take members out
    Del {
        /// The set
        name: String,
        /// The members
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Say whether an address is in a set; exit code 1 if it is not
    Test {
        /// The set
        name: String,
        /// The address, with a port in sets of ports
        member: String,
    },
    /// Take all members out
    Flush {
        /// The set
        name: String,
    },
    /// Give each of two sets the members of the other
    Swap {
        /// One
        name: String,
        /// The other
        with: String,
    },
}

pub(super) fn run(client: &Client, command: &SetCommand, as_json: bool) -> Done {
    match command {
        SetCommand::List { name: None, .. } => {
            let sets = client.get("/v1/sets")?;
            if as_json {
                return say(sets);
            }
            for set in sets["sets"].as_array().into_iter().flatten() {
                say(line(set))?;
            }
            Ok(())
        }
        SetCommand::List { name: Some(name), limit } => {
            let set = client.get(&format!("/v1/sets/{name}?limit={limit}"))?;
            if as_json {
                return say(set);
            }
            say(line(&set))?;
            let mut members = set["members"].as_array().into_iter().flatten().filter_map(Value::as_str);
            members.try_for_each(|member| say(format_args!("  {member}")))
        }
        SetCommand::Test { name, member } => {
            let answer = client.post(&format!("/v1/sets/{name}/test"), &json!({ "member": member }))?;
            let inside = answer["contains"] == true;
            if as_json {
                say(&answer)?;
            }
            let sentence = format!("{member} is {}in set {name}", if inside { "" } else { "not " });
            match (inside, as_json) {
                (true, true) => Ok(()),
                (true, false) => say(sentence),
                (false, _) => Err(Failure::Failed(sentence)),
            }
        }
        SetCommand::Add { name, members } => change(client, name, "add", &json!({ "members": members }), as_json),
        SetCommand::Del { name, members } => change(client, name, "delete", &json!({ "members": members }), as_json),
        SetCommand::Flush { name } => change(client, name, "flush", &json!({}), as_json),
        SetCommand::Swap { name, with } => change(client, name, "swap", &json!({ "with": with }), as_json),
    }
}

fn change(client: &Client, name: &str, operation: &str, body: &Value, as_json: bool) -> Done {
    let changed = client.post(&format!("/v1/sets/{name}/{operation}"), body)?;
    if as_json {
        return say(changed);
    }
    say(format_args!("set {name}: {} changed, {} members", changed["changed"], changed["members"]))
}

fn line(set: &Value) -> String {
    let text = |key: &str| set[key].as_str().unwrap_or_default().to_owned();
    format!("{} {} {} members", text("name"), text("type"), set["count"])
}
