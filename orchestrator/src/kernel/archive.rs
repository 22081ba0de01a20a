//! Which Debian archives to use: the machine's own, or what the user says.

use std::env;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::recipe::{ArchiveKind, Recipe};
use super::sources::{self, SignedBy, Source};

/// Releases whose name in a source list marks an archive of Debian itself.
const RELEASES: [&str; 14] = [
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "experimental",
    "rc-buggy",
];

/// Where Debian's keyring may be.
const KEYRINGS: [&str; 3] = [
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/etc/apt/trusted.gpg.d/debian-archive-keyring.gpg",
];

/// What the user says about the archives; what is not said is taken from the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveOptions {
    /// Address of the main archive (`COLDCUT_ARCHIVE`).
    pub main: Option<String>,
    /// Address of the security archive (`COLDCUT_SECURITY_ARCHIVE`).
    pub security: Option<String>,
    /// Keyring that signs them (`COLDCUT_KEYRING`).
    pub keyring: Option<PathBuf>,
    /// The machine's apt configuration, `/etc/apt` when not given.
    pub etc_apt: Option<PathBuf>,
    /// Accept unsigned package lists, because the user asked for it.
    pub insecure: bool,
}

impl ArchiveOptions {
    /// Reads `COLDCUT_ARCHIVE`, `COLDCUT_SECURITY_ARCHIVE` and `COLDCUT_KEYRING`.
    pub fn from_env() -> Self {
        let text = |name: &str| env::var(name).ok().filter(|v| !v.is_empty());
        Self {
            main: text("COLDCUT_ARCHIVE"),
            security: text("COLDCUT_SECURITY_ARCHIVE"),
            keyring: text("COLDCUT_KEYRING").map(PathBuf::from),
            etc_apt: None,
            insecure: false,
        }
    }
}

/// The suites to read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archives {
    /// Address and suite.
    pub suites: Vec<(String, String)>,
    /// The keyring that must have signed them; nothing is checked without one.
    pub keyring: Option<PathBuf>,
    /// Suites of the recipe for which no archive is known.
    pub unknown: Vec<String>,
}

/// Chooses archives for every suite of the recipe.
///
/// # Errors
/// [`StoreError`] when an address or a keyring that was given cannot be used.
pub fn choose(options: &ArchiveOptions, recipe: &Recipe) -> Result<Archives, StoreError> {
    let keyring = if options.insecure {
        None
    } else {
        Some(keyring(options)?)
    };
    let etc = options.etc_apt.as_deref().unwrap_or(Path::new("/etc/apt"));
    let machine = if options.main.is_some() {
        Vec::new()
    } else {
        debian_sources(sources::read_machine(etc))
    };
    let main: Vec<String> = match &options.main {
        Some(uri) => vec![checked(uri)?],
        None => uris(&machine, ArchiveKind::Main),
    };
    let security: Vec<String> = match &options.security {
        Some(uri) => vec![checked(uri)?],
        None => uris(&machine, ArchiveKind::Security),
    };
    // A mirror that has only the main archive: where it names it `debian`, its neighbour is worth a try.
    let guess = |main: &String| {
        main.strip_suffix("/debian")
            .map(|base| format!("{base}/debian-security"))
    };
    let security = if security.is_empty() {
        main.iter().find_map(guess).into_iter().collect()
    } else {
        security
    };
    let mut archives = Archives {
        suites: Vec::new(),
        keyring,
        unknown: Vec::new(),
    };
    for suite in &recipe.suites {
        let of = match suite.archive {
            ArchiveKind::Main => &main,
            ArchiveKind::Security => &security,
        };
        match of.first() {
            Some(uri) => archives.suites.push((uri.clone(), suite.suite.clone())),
            None => archives.unknown.push(suite.suite.clone()),
        }
    }
    if archives.suites.is_empty() {
        return Err(StoreError::NoArchive(format!(
            "no Debian archive is known: the package sources in {} name none. Give one that has Debian's \
             packages: --archive URL --security-archive URL --keyring FILE (or COLDCUT_ARCHIVE, \
             COLDCUT_SECURITY_ARCHIVE and COLDCUT_KEYRING)",
            etc.display()
        )));
    }
    Ok(archives)
}

/// Checks that the user's address can be written into a source list.
fn checked(uri: &str) -> Result<String, StoreError> {
    let uri = uri.trim_end_matches('/');
    if uri.contains(':') && !uri.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Ok(uri.to_owned());
    }
    Err(StoreError::NoArchive(format!(
        "`{uri}` is no archive address: expected a URL such as http://mirror.example/debian"
    )))
}

fn keyring(options: &ArchiveOptions) -> Result<PathBuf, StoreError> {
    if let Some(path) = &options.keyring {
        // apt wants an absolute path.
        let path = std::path::absolute(path).map_err(StoreError::io("use the keyring", path))?;
        return match std::fs::File::open(&path) {
            Ok(_) => Ok(path),
            Err(error) => Err(StoreError::io("read the keyring", &path)(error)),
        };
    }
    let found = KEYRINGS.iter().map(PathBuf::from).find(|path| path.is_file());
    found.ok_or_else(|| {
        StoreError::NoArchive(
            "Debian's keyring is not on this machine: install the package debian-archive-keyring, or give \
             --keyring FILE (or COLDCUT_KEYRING)"
                .to_owned(),
        )
    })
}

/// The sources that are Debian's own. Those that name its keyring are preferred to those that name none;
/// those that name other keys are somebody else's.
fn debian_sources(all: Vec<Source>) -> Vec<Source> {
    let is_release = |suite: &str| {
        let name = suite.split(['-', '/']).next().unwrap_or(suite);
        RELEASES.contains(&name)
    };
    let rank = |source: &Source| match &source.signed_by {
        SignedBy::Named(keys) if keys.contains("debian-archive-") => Some(0),
        SignedBy::Named(_) => None,
        SignedBy::Any | SignedBy::Inline => Some(1),
    };
    let mut debian: Vec<_> = all
        .into_iter()
        .filter(|s| is_release(&s.suite) && s.components.iter().any(|c| c == "main"))
        .filter_map(|s| rank(&s).map(|r| (r, s)))
        .collect();
    debian.sort_by_key(|(rank, _)| *rank);
    debian.into_iter().map(|(_, source)| source).collect()
}

/// Addresses of one kind, best first, each once.
fn uris(sources: &[Source], kind: ArchiveKind) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for source in sources {
        let security = source.suite.ends_with("-security") || source.suite.ends_with("/updates");
        let of = if security {
            ArchiveKind::Security
        } else {
            ArchiveKind::Main
        };
        if of == kind && !out.contains(&source.uri) {
            out.push(source.uri.clone());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = "\
suites:
  - {suite: trixie-backports, archive: main}
  - {suite: bookworm-security, archive: security}
modules: {}
kernels: {}
";

    fn chosen(list: &str, change: impl Fn(&mut ArchiveOptions)) -> String {
        let etc = tempfile::tempdir().unwrap();
        std::fs::write(etc.path().join("sources.list"), list).unwrap();
        let keyring = etc.path().join("keyring.gpg");
        std::fs::write(&keyring, b"keys").unwrap();
        let mut options = ArchiveOptions {
            keyring: Some(keyring),
            etc_apt: Some(etc.path().to_owned()),
            ..ArchiveOptions::default()
        };
        change(&mut options);
        match choose(&options, &Recipe::parse(RECIPE).unwrap()) {
            Ok(archives) => {
                let line = |(uri, suite): &(String, String)| format!("{uri} {suite}\n");
                let mut text: String = archives.suites.iter().map(line).collect();
                text.extend(archives.unknown.iter().map(|s| format!("unknown: {s}\n")));
                text
            }
            Err(error) => error.to_string(),
        }
    }

    fn keep(_: &mut ArchiveOptions) {}

    #[test]
    fn replaces_the_suite() {
        let list =
            "deb http://m.example/debian bookworm main\ndeb http://s.example/x bookworm-security main\n";
        insta::assert_snapshot!(chosen(list, keep), @r"
        http://m.example/debian trixie-backports
        http://s.example/x bookworm-security
        ");
    }

    #[test]
    fn one_address_may_have_both() {
        let list = "deb http://m.example/all stable main\ndeb http://m.example/all stable-security main\n";
        insta::assert_snapshot!(chosen(list, keep), @r"
        http://m.example/all trixie-backports
        http://m.example/all bookworm-security
        ");
    }

    #[test]
    fn others_are_ignored_and_the_keyring_decides() {
        let list = "\
deb [signed-by=/etc/apt/keyrings/docker.gpg] https://third.example/linux/debian bookworm stable main
deb http://unsure.example/debian bookworm main
deb https://ubuntu.example/ubuntu jammy main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://sure.example/debian sid main
";
        insta::assert_snapshot!(chosen(list, keep), @r"
        http://sure.example/debian trixie-backports
        http://sure.example/debian-security bookworm-security
        ");
    }

    #[test]
    fn a_mirror_without_security_says_so() {
        insta::assert_snapshot!(chosen("deb http://m.example/packages bookworm main\n", keep), @r"
        http://m.example/packages trixie-backports
        unknown: bookworm-security
        ");
    }

    #[test]
    fn the_user_has_the_last_word() {
        let text = chosen("deb http://m.example/debian bookworm main\n", |options| {
            options.main = Some("http://own.example/debian/".to_owned());
            options.security = Some("http://own.example/sec".to_owned());
        });
        insta::assert_snapshot!(text, @r"
        http://own.example/debian trixie-backports
        http://own.example/sec bookworm-security
        ");
        let bad = chosen("", |options| options.main = Some("not a url".to_owned()));
        assert!(bad.contains("no archive address"), "{bad}");
    }

    #[test]
    fn a_machine_without_debian_gets_told_what_to_give() {
        let text = chosen("deb https://ubuntu.example/ubuntu jammy main\n", keep);
        assert!(
            text.contains("--archive URL") && text.contains("COLDCUT_KEYRING"),
            "{text}"
        );
        let text = chosen("", |options| {
            options.keyring = Some("/nonexistent/keys.gpg".into());
        });
        assert!(text.contains("keyring /nonexistent/keys.gpg"), "{text}");
    }
}
