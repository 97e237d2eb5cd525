//! `docs/configuration.md`, printed from the rows.

use std::fmt::Write;

use super::group_rows::{CLIENT_METRICS_ROWS, GROUP_ROWS};
use super::row::{Effect, Row};
use super::server_rows::SERVER_ROWS;
use super::topic_rows::TOPIC_ROWS;

/// The page that lists every key. A test keeps the committed one equal to it.
pub fn markdown_tables() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Keys, types, defaults and allowed values are those of Apache Kafka 4.3.0, except that the \
         defaults of `listeners`, `log.dir`, `node.id` and `process.roles` let the broker start \
         with nothing configured, and that of `group.initial.rebalance.delay.ms` a lone consumer. Printed from the tables in `src/config`; \
         `UPDATE_DOCS=1 cargo test markdown` prints it anew.\n\n\
         Broker keys stand in `server.properties` or in `--override key=value`. Kafka's other keys \
         are accepted and named in the log as not supported yet.\n\n\
         Broker keys that are dynamic can be changed while the broker runs, for this broker or, with \
         an empty name, as the default of all; they count at once, for existing topics too, as far \
         as they have an effect, and again after a restart. Kafka can change some more of one broker: \
         `listeners` and `listener.security.protocol.map`, `cordoned.log.dirs`, and what belongs to \
         TLS, SASL, remote storage, plug-ins and `max.connections.per.ip.overrides`. Here that is \
         refused. Keys that nobody knows are kept, as Kafka keeps them for plug-ins.\n\n\
         ## Broker keys\n\n",
    );
    table(&mut page, SERVER_ROWS);
    page.push_str(
        "\n## Topic keys\n\nA topic without a value of its own takes the broker's: \
         of the keys in the last column the first that is set.\n\n",
    );
    table(&mut page, TOPIC_ROWS);
    page.push_str(
        "\n## Group keys\n\nSet for a group by its id, whether it exists or not. Broker keys with \
         `min` and `max` in their names bound them.\n\n",
    );
    table(&mut page, GROUP_ROWS);
    page.push_str(
        "\n## Keys of subscriptions to clients' metrics\n\nSet under a name of its own.\n\n",
    );
    table(&mut page, CLIENT_METRICS_ROWS);
    page
}

fn table(page: &mut String, rows: &[Row]) {
    let inherits = rows.iter().any(|row| !row.synonyms.is_empty());
    let changes = rows.iter().any(|row| row.dynamic);
    page.push_str("| Key | Type | Default | Valid values | Effect | Meaning |");
    page.push_str(if inherits { " Broker keys |" } else { "" });
    page.push_str(if changes { " Dynamic |\n" } else { "\n" });
    page.push_str("|---|---|---|---|---|---|");
    page.push_str(if inherits || changes { "---|\n" } else { "\n" });
    // Kafka's internal keys are for tests; ours are for users.
    let is_public = |row: &&Row| !row.internal || row.name.starts_with("ottla.");
    for row in rows.iter().filter(is_public) {
        let default = match row.default {
            None => "not set".into(),
            Some("") => "empty".into(),
            Some(text) => format!("`{}`", text.replace(',', ", ")),
        };
        let effect = match row.effect {
            Effect::Now => "now".into(),
            Effect::Nothing => "none: stored only".into(),
            Effect::Later => "stored, effect comes later".into(),
            Effect::Partly(part) => format!("now: {part}; the rest is stored, effect comes later"),
        };
        let type_name = row.config_type.to_string().to_lowercase();
        let (name, valid, meaning) = (row.name, row.valid_values(), row.documentation);
        // Writing to a String cannot fail.
        let _ =
            write!(page, "| `{name}` | {type_name} | {default} | {valid} | {effect} | {meaning} |");
        let synonyms: Vec<String> =
            row.synonyms.iter().map(|(key, _)| format!("`{key}`")).collect();
        if inherits {
            let _ = write!(page, " {} |", synonyms.join(", "));
        }
        if changes {
            page.push_str(if row.dynamic { " yes |" } else { "  |" });
        }
        page.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test may read and write the project's files")]
    fn readme_configuration_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let page = markdown_tables();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == page,
            "docs/configuration.md is old: UPDATE_DOCS=1 cargo test markdown"
        );
    }
}
