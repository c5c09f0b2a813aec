//! Two files of figures and what is said of them.

use super::*;

fn file(name: &str, text: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("limpid-bench-{}-{name}", std::process::id()));
    std::fs::write(&path, text).expect("the temporary folder can be written");
    path
}

#[test]
fn the_last_line_of_a_scenario_counts() {
    let before = file(
        "before",
        "{\"scenario\":\"lookup\",\"ops_per_s\":1.0,\"cycles_per_unit\":9}\n{\"scenario\":\"lookup\",\"ops_per_s\":100.0,\"cycles_per_unit\":20}\n",
    );
    let after = file(
        "after",
        "{\"scenario\":\"lookup\",\"ops_per_s\":150.0,\"cycles_per_unit\":10}\n\n{\"scenario\":\"bulk\",\"gbit_per_s\":1}\n",
    );
    let table = compare(&before, &after).expect("a table");
    assert!(table.contains("+50.0%") && table.contains("-50.0%"), "{table}");
    assert!(table.contains("bulk") && table.contains("is new"), "{table}");
    let broken = file("broken", "{\"scenario\":\"lookup\"\n");
    let error = compare(&broken, &after).expect_err("no table");
    assert!(error.contains(":1: "), "{error}");
    for path in [before, after, broken] {
        std::fs::remove_file(path).expect("it was written");
    }
}
