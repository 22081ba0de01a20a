//! How a filesystem is made.

use super::mode::Mode;
use super::options::MkfsOption;

/// The program that makes a filesystem, and what it is given.
#[derive(Debug)]
pub struct Mkfs {
    /// The program.
    pub program: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
    /// The options that a scenario may give.
    pub options: &'static [MkfsOption],
    /// Arguments that it is always given.
    pub always: &'static [&'static str],
    /// Options with one `KEY=VALUE` or value each, given unless the scenario gives the same.
    pub defaults: &'static [(&'static str, &'static str)],
    /// An option of which the program heeds only the last: all of them are put into one.
    pub joined: Option<&'static str>,
    /// The option that takes features by name, separated by commas: a mode's are added to the scenario's.
    pub features: Option<&'static str>,
    /// Options about the journal, which are left out in a mode without one.
    pub journal: &'static [&'static str],
    /// Options of a scenario that only say how large things are: in another filesystem they are left out.
    pub geometry: &'static [&'static str],
    /// Options for a small filesystem with a small journal, such as coldcut's own scenarios are about.
    pub small: &'static [&'static str],
    /// Variables of its environment.
    pub environment: &'static [(&'static str, &'static str)],
    /// A configuration file of coldcut's own in place of the host's.
    pub config: Option<ConfigFile>,
}

/// A configuration file for a program.
#[derive(Debug)]
pub struct ConfigFile {
    /// The variable that names it.
    pub variable: &'static str,
    /// What it says.
    pub text: &'static str,
}

impl Mkfs {
    /// The arguments before the image's path; `options` are the scenario's.
    pub fn arguments(&self, options: &[String]) -> Vec<String> {
        let mut arguments: Vec<String> = self.always.iter().map(|&word| word.to_owned()).collect();
        let mut joined: Vec<String> = Vec::new();
        for (option, value) in self.defaults.iter().filter(|default| !given(options, default)) {
            if self.joined == Some(option) {
                joined.push((*value).to_owned());
            } else {
                arguments.extend([(*option).to_owned(), (*value).to_owned()]);
            }
        }
        let mut rest = Vec::new();
        let mut words = options.iter();
        while let Some(word) = words.next() {
            if self.joined == Some(word) {
                joined.extend(words.next().cloned());
            } else {
                rest.push(word.clone());
            }
        }
        if let (Some(option), false) = (self.joined, joined.is_empty()) {
            arguments.extend([option.to_owned(), joined.join(",")]);
        }
        arguments.extend(rest);
        arguments
    }

    /// The scenario's options and the mode's: features together, and of other options the mode's.
    pub fn in_mode(&self, own: &[String], mode: &Mode) -> Vec<String> {
        let mut options: Vec<String> = Vec::new();
        let mut features: Vec<&str> = Vec::new();
        let is_features = |option: &str| self.features == Some(option);
        let mut own = own.iter().map(String::as_str);
        while let Some(option) = own.next() {
            // The value of another option may be the same word as a value of the mode's.
            let theirs = option.starts_with('-') && mode.mkfs.contains(&option);
            let overruled = theirs || !mode.journal && self.journal.contains(&option);
            if is_features(option) {
                features.extend(own.next());
            } else if overruled {
                own.next();
            } else {
                options.push(option.to_owned());
            }
        }
        let mut theirs = mode.mkfs.iter();
        while let Some(option) = theirs.next() {
            if is_features(option) {
                features.extend(theirs.next());
            } else {
                options.push((*option).to_owned());
            }
        }
        if let (Some(option), false) = (self.features, features.is_empty()) {
            options.extend([option.to_owned(), features.join(",")]);
        }
        options
    }

    /// The first of a scenario's options that says more than how large things are.
    pub fn beyond_geometry<'o>(&self, options: &'o [String]) -> Option<&'o str> {
        let mut words = options.iter().map(String::as_str);
        while let Some(word) = words.next() {
            if !self.geometry.contains(&word) {
                return Some(word);
            }
            words.next();
        }
        None
    }
}

/// Whether a scenario's options say what a default does.
fn given(options: &[String], (option, value): &(&str, &str)) -> bool {
    let key = |value: &str| value.split_once('=').map(|(key, _)| key.to_owned());
    options.windows(2).any(|pair| {
        let own = pair[1].split(',').any(|own| key(own) == key(value));
        pair[0] == *option && own
    })
}

#[cfg(test)]
mod tests {
    use crate::filesystem::FsType;

    fn arguments(fstype: &str, options: &[&str]) -> String {
        let options: Vec<String> = options.iter().map(|&word| word.to_owned()).collect();
        FsType::named(fstype).unwrap().mkfs.arguments(&options).join(" ")
    }

    #[test]
    fn options_are_joined_where_the_program_heeds_only_the_last() {
        let own = ["-b", "1024", "-E", "stride=4", "-m", "0"];
        let arguments = arguments("ext4", &own);
        assert_eq!(arguments.matches("-E").count(), 1);
        assert!(
            arguments.contains(",nodiscard,stride=4 -b 1024 -m 0"),
            "{arguments}"
        );
        assert!(arguments.starts_with("-F -q -t ext4 -U c01d"), "{arguments}");
    }

    #[test]
    fn what_the_scenario_gives_is_not_given_twice() {
        assert!(arguments("xfs", &[]).ends_with("-i nrext64=0"));
        assert!(arguments("xfs", &["-m", "bigtime=0"]).contains("nrext64=0"));
        let own = arguments("xfs", &["-i", "nrext64=1"]);
        assert!(
            own.ends_with("-i nrext64=1") && !own.contains("nrext64=0"),
            "{own}"
        );
        assert_eq!(arguments("btrfs", &["-U", "x"]).matches("-U").count(), 1);
    }

    #[test]
    fn a_mode_overrules_options_and_not_their_values() {
        let ext4 = FsType::first();
        let mode = ext4.modes.iter().find(|mode| mode.name == "1k-blocks").unwrap();
        let own = ["-b", "4096", "-g", "1024", "-J", "size=4"].map(str::to_owned);
        assert_eq!(
            ext4.mkfs.in_mode(&own, mode).join(" "),
            "-g 1024 -J size=4 -b 1024"
        );
    }

    #[test]
    fn what_is_more_than_geometry_is_found() {
        let beyond = |options: &[&str]| {
            let options: Vec<String> = options.iter().map(|&word| word.to_owned()).collect();
            let ext4 = FsType::first();
            ext4.mkfs.beyond_geometry(&options).map(str::to_owned)
        };
        assert_eq!(beyond(&["-b", "4096", "-J", "size=4", "-E", "nodiscard"]), None);
        assert_eq!(
            beyond(&["-b", "4096", "-O", "fast_commit"]).as_deref(),
            Some("-O")
        );
    }
}
