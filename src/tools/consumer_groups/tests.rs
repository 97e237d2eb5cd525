use super::*;

fn flags(line: &str) -> Flags {
    let words = ["", "--bootstrap-server", "b:1"].into_iter().chain(line.split(' '));
    Flags(crate::tools::flags::command("", "", OPTIONS).try_get_matches_from(words).unwrap())
}

fn checked(line: &str) -> Result<(), String> {
    check(&flags(line)).map_err(|failure| failure.err)
}

#[test]
fn what_does_not_go_together_is_refused_in_kafkas_words() {
    for (line, expected) in [
        ("--describe", "Option [describe] takes one of these options: [group], [all-groups]"),
        (
            "--describe --group g --members --state",
            "Option [describe] takes at most one of these options: [members], [offsets], [state]",
        ),
        ("--list --group g", "Option \"[group]\" can't be used with option \"[list]\""),
        (
            "--reset-offsets --dry-run --group g --to-offset 1 --to-earliest",
            "Option \"[to-offset]\" can't be used with option \"[to-earliest]\"",
        ),
        ("--list --describe --group g", "Option \"[group]\" can't be used with option \"[list]\""),
        (
            "--list --delete-offsets --group g --topic t",
            "Option \"[group]\" can't be used with option \"[list]\"",
        ),
    ] {
        assert_eq!(checked(line), Err(expected.to_owned()), "{line}");
    }
    let none = checked("--timeout 1").unwrap_err();
    assert!(
        none.starts_with("Command must include exactly one action: --list, --describe"),
        "{none}"
    );
    for line in
        ["--list", "--list --state", "--list --state stable --type", "--describe --group g --state"]
    {
        assert_eq!(checked(line), Ok(()), "{line}");
    }
}
