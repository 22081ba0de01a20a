//! How long operations of the kernel store are shown.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::kernel::Progress;
use crate::report::clean;
use crate::report::stdout::errln;

/// Progress on standard error: a bar on a terminal, lines elsewhere.
pub(super) struct Terminal {
    bar: Option<ProgressBar>,
    last: Mutex<String>,
}

impl Terminal {
    /// Whether standard error is a terminal.
    pub(super) fn is_there() -> bool {
        std::io::stderr().is_terminal()
    }

    pub(super) fn new() -> Self {
        let bar = Self::is_there().then(|| {
            let bar = ProgressBar::new(0);
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            bar,
            last: Mutex::new(String::new()),
        }
    }

    /// Clears the bar; dropping it does so too.
    pub(super) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.set_style(ProgressStyle::default_spinner());
            bar.set_message("");
            bar.finish_and_clear();
        }
    }

    fn style(template: &str) -> ProgressStyle {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.done();
    }
}

impl Progress for Terminal {
    fn stage(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_style(Self::style("{spinner} {msg}"));
            bar.set_message(text.to_owned());
        } else if let Ok(mut last) = self.last.lock()
            && *last != text
        {
            text.clone_into(&mut last);
            errln!("{text}");
        }
    }

    fn bytes(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_style(Self::style(
                "{spinner} {msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}",
            ));
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(clean(format_args!("note: {text}"))),
            None => errln!("note: {text}"),
        }
    }
}
