//! Reads apt's source lists, one-line and deb822: sources.list(5).

use std::fs;
use std::path::{Path, PathBuf};

/// Largest source list that is read, in bytes.
const MAX_LIST: u64 = 1 << 20;

/// One archive that a source list names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its address, without a closing slash.
    pub uri: String,
    /// Its suite, `bookworm-security`.
    pub suite: String,
    /// Its components; none for a flat archive.
    pub components: Vec<String>,
    /// What `Signed-By` says.
    pub signed_by: SignedBy,
}

/// Which keys a source is to be signed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedBy {
    /// Nothing said: any key that apt trusts.
    Any,
    /// Keyring files or fingerprints.
    Named(String),
    /// Keys inside the source list.
    Inline,
}

/// Reads the source lists of an apt configuration directory (`/etc/apt`). Unreadable files are left out.
pub fn read_machine(etc_apt: &Path) -> Vec<Source> {
    let mut files = vec![etc_apt.join("sources.list")];
    if let Ok(entries) = fs::read_dir(etc_apt.join("sources.list.d")) {
        let mut parts: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        parts.sort();
        files.extend(parts);
    }
    let mut sources = Vec::new();
    for file in files {
        let small = fs::metadata(&file).is_ok_and(|m| m.is_file() && m.len() <= MAX_LIST);
        let Some(text) = small.then(|| fs::read_to_string(&file).ok()).flatten() else {
            continue;
        };
        match file.extension().and_then(|e| e.to_str()) {
            Some("list") => sources.extend(parse_list(&text)),
            Some("sources") => sources.extend(parse_deb822(&text)),
            _ => {}
        }
    }
    sources
}

/// Parses the one-line format. Lines that apt would refuse are left out.
pub fn parse_list(text: &str) -> Vec<Source> {
    text.lines()
        .filter_map(|line| parse_line(line.split('#').next().unwrap_or_default().trim()))
        .collect()
}

fn parse_line(line: &str) -> Option<Source> {
    let mut rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t', '[']) {
        return None;
    }
    rest = rest.trim_start();
    let mut signed_by = SignedBy::Any;
    if let Some(options) = rest.strip_prefix('[') {
        let (options, after) = options.split_once(']')?;
        for option in options.split_whitespace() {
            match option.split_once('=') {
                Some((key, value)) if key.eq_ignore_ascii_case("signed-by") => {
                    signed_by = SignedBy::Named(value.to_owned());
                }
                _ => {}
            }
        }
        rest = after.trim_start();
    }
    // `cdrom:[label with spaces]/ suite …`: of no use, its name has spaces.
    if rest.starts_with("cdrom:") {
        return None;
    }
    let mut words = rest.split_whitespace();
    let uri = words.next()?.trim_end_matches('/').to_owned();
    let suite = words.next()?.trim_end_matches('/').to_owned();
    uri.contains(':').then(|| Source {
        uri,
        suite,
        components: words.map(str::to_owned).collect(),
        signed_by,
    })
}

/// Parses the deb822 format: stanzas of `Field: value`, continued by indented lines.
pub fn parse_deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(stanza(&fields));
            fields.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    sources
}

fn stanza(fields: &[(String, String)]) -> Vec<Source> {
    let get = |name: &str| {
        fields
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, v)| v.as_str())
    };
    let words = |name: &str| {
        get(name)
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let off = ["no", "false", "without", "off", "disable", "0"];
    if off.iter().any(|o| get("enabled").eq_ignore_ascii_case(o))
        || !words("types").iter().any(|t| t == "deb")
    {
        return Vec::new();
    }
    let signed_by = match get("signed-by") {
        "" => SignedBy::Any,
        text if text.contains("-----BEGIN") => SignedBy::Inline,
        text => SignedBy::Named(text.replace('\n', " ")),
    };
    let mut sources = Vec::new();
    for uri in words("uris")
        .iter()
        .filter(|u| u.contains(':') && !u.starts_with("cdrom:"))
    {
        for suite in words("suites") {
            sources.push(Source {
                uri: uri.trim_end_matches('/').to_owned(),
                suite: suite.trim_end_matches('/').to_owned(),
                components: words("components"),
                signed_by: signed_by.clone(),
            });
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(sources: &[Source]) -> String {
        let line = |s: &Source| {
            format!(
                "{} {} {:?} {:?}\n",
                s.uri,
                s.suite,
                s.components.join(","),
                s.signed_by
            )
        };
        sources.iter().map(line).collect()
    }

    #[test]
    fn one_line_lists() {
        let text = "\
# deb http://commented.example/debian bookworm main
deb http://mirror.example/debian/ bookworm main contrib # with a remark
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://mirror.example/debian-security bookworm-security main
deb [ signed-by=/etc/apt/keyrings/other.gpg ] https://other.example/apt stable main
deb cdrom:[Debian GNU/Linux 12 _Bookworm_ - Official amd64 NETINST]/ bookworm main
deb\tmirror+file:/etc/apt/mirrors/list\tbookworm-updates\tmain
deb https://flat.example/repo ./
debian http://no.example/x y z
deb [broken http://no.example/x y z
deb
";
        insta::assert_snapshot!(show(&parse_list(text)), @r#"
        http://mirror.example/debian bookworm "main,contrib" Any
        https://mirror.example/debian-security bookworm-security "main" Named("/usr/share/keyrings/debian-archive-keyring.gpg")
        https://other.example/apt stable "main" Named("/etc/apt/keyrings/other.gpg")
        mirror+file:/etc/apt/mirrors/list bookworm-updates "main" Any
        https://flat.example/repo . "" Any
        "#);
    }

    #[test]
    fn deb822_lists() {
        let text = "\
Types: deb deb-src
# a remark inside
URIs: http://mirror.example/debian http://second.example/debian/
Suites: trixie
 trixie-updates
Components: main non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main

types: deb
uris: https://third.example/apt
suites: stable
components: main
signed-by:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb-src
URIs: http://src.example/debian
Suites: trixie
Components: main
";
        insta::assert_snapshot!(show(&parse_deb822(text)), @r#"
        http://mirror.example/debian trixie "main,non-free-firmware" Named("/usr/share/keyrings/debian-archive-keyring.gpg")
        http://mirror.example/debian trixie-updates "main,non-free-firmware" Named("/usr/share/keyrings/debian-archive-keyring.gpg")
        http://second.example/debian trixie "main,non-free-firmware" Named("/usr/share/keyrings/debian-archive-keyring.gpg")
        http://second.example/debian trixie-updates "main,non-free-firmware" Named("/usr/share/keyrings/debian-archive-keyring.gpg")
        https://third.example/apt stable "main" Inline
        "#);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "(?s).{0,200}", line in "deb[ \\[\\]=a-z:/#]{0,60}") {
            for text in [text, line] {
                for source in parse_list(&text).into_iter().chain(parse_deb822(&text)) {
                    prop_assert!(source.uri.contains(':'));
                    prop_assert!(!source.uri.contains(char::is_whitespace));
                }
            }
        }
    }
}
