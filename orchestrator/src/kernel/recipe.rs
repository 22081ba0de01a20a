//! `images/kernels.yaml`: where kernels come from, which modules are kept, and sets of kernels.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The recipe that is built in.
const BUILT_IN: &str = include_str!("../../../images/kernels.yaml");

/// `images/kernels.yaml` (or its override) is not valid.
#[derive(Debug, thiserror::Error)]
#[error("kernel recipe {0}")]
pub struct RecipeError(String);

/// What `images/kernels.yaml` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Suites with kernel packages.
    pub suites: Vec<Suite>,
    /// Sets of modules, by name.
    pub modules: BTreeMap<String, SetRecipe>,
    /// Named sets of kernel specs.
    pub kernels: BTreeMap<String, Vec<String>>,
}

/// A suite of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Its name, `trixie-security`.
    pub suite: String,
    /// Which of the two archives has it.
    pub archive: ArchiveKind,
}

/// Debian keeps security updates in an archive of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArchiveKind {
    /// The archive with releases and backports.
    Main,
    /// The archive with security updates.
    Security,
}

/// A set of modules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRecipe {
    /// Modules that the set needs.
    pub need: Vec<String>,
    /// Modules to load first when the kernel has them.
    #[serde(default)]
    pub want: Vec<String>,
    /// Whether a kernel without this set is refused.
    #[serde(default)]
    pub required: bool,
}

impl Recipe {
    /// The recipe that this coldcut was built with, and a set for each filesystem that can be under test.
    ///
    /// # Errors
    /// [`RecipeError`].
    pub fn built_in() -> Result<Self, RecipeError> {
        let mut recipe = Self::parse(BUILT_IN)?;
        for driver in coldcut_core::filesystem::ALL.iter().map(|fs| fs.driver) {
            let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect();
            recipe.modules.insert(
                driver.set(),
                SetRecipe {
                    need: words(driver.need),
                    want: words(driver.want),
                    required: false,
                },
            );
        }
        Ok(recipe)
    }

    /// Replaces named sets of kernels by their specs, each once.
    pub fn expand(&self, specs: &[String]) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for spec in specs {
            let of = self
                .kernels
                .get(spec)
                .map_or(std::slice::from_ref(spec), Vec::as_slice);
            for spec in of {
                if !out.contains(spec) {
                    out.push(spec.clone());
                }
            }
        }
        out
    }

    /// Parses a recipe.
    ///
    /// # Errors
    /// [`RecipeError`].
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        serde_yaml::from_str(text).map_err(|error| RecipeError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::Spec;
    use super::*;

    #[test]
    fn the_built_in_recipe_is_valid() {
        let recipe = Recipe::built_in().unwrap();
        for specs in recipe.kernels.values() {
            assert!(!specs.is_empty());
            for spec in specs {
                Spec::parse(spec).unwrap();
            }
        }
        for set in ["base", "console", "disk"] {
            assert!(recipe.modules[set].required, "{set}");
        }
        assert!(recipe.suites.iter().any(|s| s.archive == ArchiveKind::Main));
        assert!(recipe.suites.iter().any(|s| s.archive == ArchiveKind::Security));
    }

    #[test]
    fn sets_are_expanded_once() {
        let recipe = Recipe::built_in().unwrap();
        let specs = ["lts", "6.12", "7.3", "lts"].map(str::to_owned);
        assert_eq!(recipe.expand(&specs), ["5.10", "6.1", "6.12", "6.18", "7.3"]);
    }

    #[test]
    fn unknown_fields_are_refused() {
        let error = Recipe::parse("suites: []\nmodules: {}\nkernels: {}\nkernals: {}\n").unwrap_err();
        assert!(error.to_string().contains("kernals"), "{error}");
    }
}
