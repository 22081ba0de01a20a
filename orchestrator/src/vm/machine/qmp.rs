//! QEMU's monitor protocol: typed commands, leniently read answers.
//!
//! Commands are qapi's types. The stream itself is read as plain JSON, because an event that this build of qapi does
//! not know must not end the connection.

use std::time::Duration;

use coldcut_core::outcome::unknown::TimedOut;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// Longest line that is accepted; QEMU's own are a few KiB.
const LONGEST_LINE: u64 = 16 << 20;

/// Why a monitor command gave no result.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// The connection broke.
    #[error("the QEMU monitor's connection broke: {0}")]
    Io(#[from] std::io::Error),
    /// The connection ended.
    #[error("QEMU closed its monitor")]
    Closed,
    /// An answer violates the protocol.
    #[error("QEMU's monitor answered something unreadable: {0}")]
    Malformed(#[from] serde_json::Error),
    /// QEMU refused.
    #[error("QEMU refused `{command}`: {message}")]
    Refused {
        /// The command.
        command: &'static str,
        /// QEMU's words.
        message: String,
    },
    /// No answer came in time.
    #[error("QEMU's monitor did not answer `{command}` within {} s", limit.as_secs())]
    Timeout {
        /// The command.
        command: &'static str,
        /// The deadline.
        limit: Duration,
        /// What kind of error it is.
        source: TimedOut,
    },
}

/// A monitor connection.
#[derive(Debug)]
pub struct Qmp {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// Names of events that arrived while an answer was awaited.
    events: Vec<(String, Value)>,
    next_id: u64,
}

impl Qmp {
    /// Takes the greeting and leaves negotiation mode.
    ///
    /// # Errors
    /// [`QmpError`].
    pub async fn connect(stream: UnixStream, limit: Duration) -> Result<Self, QmpError> {
        let (reader, writer) = stream.into_split();
        let mut qmp = Self {
            reader: BufReader::new(reader),
            writer,
            events: Vec::new(),
            next_id: 0,
        };
        let greeting =
            tokio::time::timeout(limit, qmp.read_line())
                .await
                .map_err(|_| QmpError::Timeout {
                    command: "greeting",
                    limit,
                    source: TimedOut,
                })??;
        if greeting.get("QMP").is_none() {
            return Err(QmpError::Refused {
                command: "greeting",
                message: greeting.to_string(),
            });
        }
        qmp.execute(&qapi::qmp::qmp_capabilities { enable: None }, limit)
            .await?;
        Ok(qmp)
    }

    /// Runs one command.
    ///
    /// # Errors
    /// [`QmpError`].
    pub async fn execute<C: qapi::Command>(
        &mut self,
        command: &C,
        limit: Duration,
    ) -> Result<C::Ok, QmpError> {
        tokio::time::timeout(limit, self.execute_inner(command))
            .await
            .unwrap_or(Err(QmpError::Timeout {
                command: C::NAME,
                limit,
                source: TimedOut,
            }))
    }

    async fn execute_inner<C: qapi::Command>(&mut self, command: &C) -> Result<C::Ok, QmpError> {
        self.next_id += 1;
        let id = self.next_id;
        let mut line = serde_json::to_vec(&json!({ "execute": C::NAME, "arguments": command, "id": id }))?;
        line.push(b'\n');
        self.writer.write_all(&line).await?;
        loop {
            let mut answer = self.read_line().await?;
            if let Some(event) = event_of(&answer) {
                self.events.push(event);
            } else if answer.get("id").and_then(Value::as_u64) != Some(id) {
                // An answer to a command that timed out.
            } else if let Some(error) = answer.get("error") {
                let message = error
                    .get("desc")
                    .and_then(Value::as_str)
                    .unwrap_or("no reason given")
                    .to_owned();
                return Err(QmpError::Refused {
                    command: C::NAME,
                    message,
                });
            } else {
                return Ok(serde_json::from_value(answer["return"].take())?);
            }
        }
    }

    /// How a migration stands: its status alone, because the rest of the answer varies with QEMU's version.
    ///
    /// # Errors
    /// [`QmpError`].
    pub async fn migration_status(&mut self, limit: Duration) -> Result<String, QmpError> {
        let info = self.execute(&MigrationStatus {}, limit).await?;
        Ok(info
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned())
    }

    /// Waits for an event by name, also one that arrived already.
    ///
    /// # Errors
    /// [`QmpError`].
    pub async fn wait_event(&mut self, name: &'static str, limit: Duration) -> Result<(), QmpError> {
        if let Some(at) = self.events.iter().position(|(event, _)| event == name) {
            self.events.drain(..=at);
            return Ok(());
        }
        let wait = async {
            loop {
                let line = self.read_line().await?;
                match event_of(&line) {
                    Some((event, _)) if event == name => return Ok(()),
                    other => self.events.extend(other),
                }
            }
        };
        tokio::time::timeout(limit, wait)
            .await
            .unwrap_or(Err(QmpError::Timeout {
                command: name,
                limit,
                source: TimedOut,
            }))
    }

    /// How the guest ended, as QEMU saw it (`ShutdownCause` of qapi/run-state.json), once it has; `None` where QEMU ended
    /// without saying so.
    pub async fn shutdown_reason(&mut self, limit: Duration) -> Option<String> {
        let read = async {
            while let Ok(line) = self.read_line().await {
                self.events.extend(event_of(&line));
            }
        };
        // What came until then counts.
        let _ = tokio::time::timeout(limit, read).await;
        let (_, data) = self.events.iter().find(|(event, _)| event == "SHUTDOWN")?;
        Some(data.get("reason")?.as_str()?.to_owned())
    }

    async fn read_line(&mut self) -> Result<Value, QmpError> {
        let mut line = Vec::new();
        let count = (&mut self.reader)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .await?;
        if count == 0 {
            return Err(QmpError::Closed);
        }
        Ok(serde_json::from_slice(&line)?)
    }
}

/// The name and the data of an event.
fn event_of(line: &Value) -> Option<(String, Value)> {
    let name = line.get("event").and_then(Value::as_str)?;
    Some((name.to_owned(), line.get("data").cloned().unwrap_or_default()))
}

/// `query-migrate`, read leniently.
#[derive(Debug, serde::Serialize)]
struct MigrationStatus {}

impl qapi::Command for MigrationStatus {
    type Ok = Value;

    const NAME: &'static str = "query-migrate";
    const ALLOW_OOB: bool = false;
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    async fn served(answers: &'static str) -> Result<qapi::qmp::StatusInfo, QmpError> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        tokio::spawn(async move {
            theirs
                .write_all(b"{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n")
                .await
                .unwrap();
            theirs.write_all(b"{\"return\": {}, \"id\": 1}\n").await.unwrap();
            theirs.write_all(answers.as_bytes()).await.unwrap();
            let mut sink = Vec::new();
            let _ = theirs.read_to_end(&mut sink).await;
        });
        let mut qmp = Qmp::connect(ours, LIMIT).await?;
        qmp.execute(&qapi::qmp::query_status {}, Duration::from_millis(300))
            .await
    }

    #[tokio::test]
    async fn unknown_events_and_stale_answers_are_passed_over() {
        let status = served(
            "{\"event\": \"NEVER_HEARD_OF\", \"data\": 3}\n{\"return\": {}, \"id\": 99}\n\
             {\"return\": {\"running\": true, \"status\": \"running\"}, \"id\": 2}\n",
        )
        .await
        .unwrap();
        assert!(status.running);
    }

    #[tokio::test]
    async fn errors_carry_the_words_of_qemu() {
        let error =
            served("{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such thing\"}, \"id\": 2}\n")
                .await;
        assert!(error.unwrap_err().to_string().contains("no such thing"));
    }

    #[tokio::test]
    async fn how_the_guest_ended_is_remembered() {
        for (line, reason) in [
            (
                "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\n",
                Some("guest-reset"),
            ),
            ("{\"event\": \"STOP\"}\n", None),
        ] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let greeting = "{\"QMP\": {}}\n{\"return\": {}, \"id\": 1}\n";
            theirs
                .write_all(format!("{greeting}{line}").as_bytes())
                .await
                .unwrap();
            theirs.shutdown().await.unwrap();
            let mut qmp = Qmp::connect(ours, LIMIT).await.unwrap();
            assert_eq!(qmp.shutdown_reason(LIMIT).await.as_deref(), reason);
        }
    }

    #[tokio::test]
    async fn silence_ends_at_the_deadline() {
        assert!(matches!(served("").await, Err(QmpError::Timeout { .. })));
    }
}
