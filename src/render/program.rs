//! Runs an installed program to its end, within limits of time and output.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

/// The longest time for one package.
pub(super) const TIME: Duration = Duration::from_mins(1);
/// The largest output of one package, in bytes.
const OUTPUT: u64 = 64 << 20;
/// The part of a program's error output that is kept, in bytes.
const ERRORS: u64 = 16 << 10;

/// The reason why a program gave no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    /// The program is not installed.
    #[error("{0} is not installed")]
    Missing(&'static str),
    /// The program can't be started, or its output can't be read.
    #[error("{0} can't be run: {1}")]
    Broken(&'static str, io::Error),
    /// The program took too long.
    #[error("{0} was stopped, because it took longer than {limit} s", limit = .1.as_secs())]
    Slow(&'static str, Duration),
    /// The output is too large.
    #[error("{0} was stopped, because its output is larger than {limit} MiB", limit = OUTPUT >> 20)]
    TooLarge(&'static str),
    /// The program reported an error.
    #[error("{0}: {1}")]
    Failed(&'static str, String),
}

/// Makes a command whose program has no plugins and no way to a network; `home` is an empty directory for its files.
pub(super) fn command(program: &'static str, home: &Path) -> Command {
    let mut command = Command::new(program);
    for variable in
        ["HELM_CONFIG_HOME", "HELM_CACHE_HOME", "HELM_DATA_HOME", "HELM_PLUGINS", "KUSTOMIZE_PLUGIN_HOME"]
    {
        command.env(variable, home);
    }
    for variable in
        ["HELM_REPOSITORY_CONFIG", "HELM_REPOSITORY_CACHE", "HELM_REGISTRY_CONFIG", "HELM_NAMESPACE"]
    {
        command.env_remove(variable);
    }
    // No server listens on the port for discarding. Git knows no protocol of this name, so it allows none.
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env(variable, "http://127.0.0.1:9");
    }
    command.env_remove("NO_PROXY").env_remove("no_proxy").env("GIT_ALLOW_PROTOCOL", "none");
    command.env("HELM_NO_PLUGINS", "1").env("KUBECONFIG", home.join("none"));
    command
}

/// Runs a command, and returns its output.
pub(super) async fn output(
    program: &'static str,
    mut command: Command,
    limit: Duration,
) -> Result<Vec<u8>, ProgramError> {
    let broken = |error| ProgramError::Broken(program, error);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match child.kill_on_drop(true).spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ProgramError::Missing(program)),
        Err(error) => return Err(broken(error)),
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let run = async {
        // The rest of the errors is read too, so that the program never waits for its reader.
        let (output, errors) = tokio::join!(read(stdout, OUTPUT, false), read(stderr, ERRORS, true));
        let (output, errors) = (output.map_err(broken)?, errors.map_err(broken)?);
        if output.len() as u64 > OUTPUT {
            return Err(ProgramError::TooLarge(program));
        }
        let status = child.wait().await.map_err(broken)?;
        if status.success() { Ok(output) } else { Err(ProgramError::Failed(program, message(&errors))) }
    };
    timeout(limit, run).await.unwrap_or(Err(ProgramError::Slow(program, limit)))
}

/// Reads a stream up to one byte more than the limit, and then, if asked to, its rest into nothing.
async fn read(stream: Option<impl AsyncRead + Unpin>, limit: u64, to_end: bool) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        (&mut stream).take(limit + 1).read_to_end(&mut bytes).await?;
        if to_end {
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
        }
    }
    Ok(bytes)
}

/// Returns the error in what a program wrote, without the warnings in front of it.
fn message(errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let text = text.trim();
    // Some builds of kubectl log their error.
    let logged = text.split_once("err=\"").and_then(|(_, error)| error.strip_suffix('"'));
    if let Some(error) = logged {
        return error.replace("\\\"", "\"").replace("\\n", "\n");
    }
    let from = ["Error: ", "error: "].iter().filter_map(|mark| Some(text.find(mark)? + mark.len())).min();
    // Helm ends with advice about its own flags.
    let error = text[from.unwrap_or(0)..].split("\n\nUse --debug").next().unwrap_or_default().trim();
    if error.is_empty() { "it failed without a message".to_owned() } else { error.to_owned() }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    async fn shell(script: &str, limit: Duration) -> Result<Vec<u8>, ProgramError> {
        let mut command = command("sh", Path::new("/nonexistent"));
        command.args(["-c", script]);
        output("sh", command, limit).await
    }

    #[tokio::test]
    async fn the_output_of_a_program_is_returned() {
        assert_eq!(shell("echo out; echo err >&2", TIME).await.unwrap(), b"out\n");
    }

    #[tokio::test]
    async fn an_error_of_a_program_is_told_without_its_warnings() {
        let error =
            shell("echo 'WARNING: old' >&2; echo 'Error: no image' >&2; exit 1", TIME).await.unwrap_err();
        assert_eq!(error.to_string(), "sh: no image");
        let error = shell("printf 'Error: a\n\nUse --debug flag\n' >&2; exit 1", TIME).await.unwrap_err();
        assert_eq!(error.to_string(), "sh: a");
        let error = shell("exit 3", TIME).await.unwrap_err();
        assert_eq!(error.to_string(), "sh: it failed without a message");
    }

    #[test]
    fn only_the_error_from_kubectls_log_is_reported() {
        let log = br#"E1129 11:18:04 run.go:72] "command failed" err="invalid: unknown field \"a\"""#;
        assert_eq!(message(log), r#"invalid: unknown field "a""#);
    }

    #[tokio::test]
    async fn a_program_that_never_ends_is_stopped() {
        let error = shell("exec sleep 1000", Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(error, ProgramError::Slow(..)), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_writes_without_end_is_stopped() {
        let error = shell("exec yes", TIME).await.unwrap_err();
        assert!(matches!(error, ProgramError::TooLarge(_)), "{error}");
        let error = shell("head -c 1000000 /dev/zero >&2; exit 1", TIME).await.unwrap_err();
        assert!(matches!(error, ProgramError::Failed(..)), "{error}");
    }

    #[tokio::test]
    async fn a_missing_program_is_told_apart() {
        let name = "kube-devops-no-such-program";
        let error = output(name, command(name, Path::new("/")), TIME).await.unwrap_err();
        assert!(matches!(error, ProgramError::Missing(_)), "{error}");
    }

    #[tokio::test]
    async fn a_program_is_cut_off_from_plugins_and_networks() {
        let script =
            "printf '%s\\n' \"$HELM_PLUGINS\" \"$HELM_NO_PLUGINS\" \"$HTTPS_PROXY\" \"$GIT_ALLOW_PROTOCOL\"";
        let output = shell(script, TIME).await.unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), "/nonexistent\n1\nhttp://127.0.0.1:9\nnone\n");
    }
}
