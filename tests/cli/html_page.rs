//! The HTML report in a real browser: axe-core finds no barrier, and the page fits a small screen.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;

use super::{directory, run_in};

/// The names of the browser.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A script that runs axe, and writes what it finds in front of the frame with the page. A page wider than its frame is a finding too.
const PROBE: &str = r#"<script src="axe.min.js"></script>
<script>
const told = text => { frameElement.previousElementSibling.textContent = `${innerWidth}: ${text}`; };
const wide = document.documentElement.scrollWidth > innerWidth ? ["wider than the frame"] : [];
axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => {
  const found = violations.map(({ id, nodes }) => `${id} at ${nodes.map(node => node.target.join(" ")).join(", ")}`);
  told([...wide, ...found].join("; ") || "nothing");
}, error => told(`axe failed: ${error}`));
</script>
"#;

/// A page with a barrier, which shows that the browser and axe work.
const BARRIER: &str = "<!DOCTYPE html><html lang=\"en\"><head><title>t</title></head><body><main><h1>h</h1><img src=\"x\"></main></body></html>";

/// A browser, and a directory with axe.
struct Browser {
    program: &'static str,
    pages: tempfile::TempDir,
}

impl Browser {
    /// Finds the browser. Without it or axe, the test is skipped visibly.
    fn find() -> Option<Self> {
        let skip = |reason: &str| {
            // `eprintln!` would show only if the test fails.
            let _ = writeln!(std::io::stderr(), "SKIPPED: no page was opened in a browser: {reason}");
            None
        };
        let target = Path::new(env!("CARGO_BIN_EXE_kube-devops")).ancestors().nth(2).unwrap();
        let axe = target.join("axe/package/axe.min.js");
        if !axe.is_file() {
            return skip("`make axe` fetches axe-core");
        }
        let pages = directory(&[("axe.min.js", &fs::read(axe).unwrap())]);
        let is_installed = |program: &&str| Command::new(program).arg("--version").output().is_ok();
        let Some(program) = BROWSERS.into_iter().find(is_installed) else {
            return skip("install Chromium");
        };
        let browser = Self { program, pages };
        let found = browser.barriers(&[(BARRIER, 1000)]);
        if found == ["1000: image-alt at img"] {
            Some(browser)
        } else {
            skip(&format!("{program} can't run axe here: {found:?}"))
        }
    }

    /// Opens each page in a frame of its width, because a window can't be as narrow as that of a phone. Returns the widths
    /// and what axe finds; nothing for a page whose script did not end.
    fn barriers(&self, pages: &[(&str, u32)]) -> Vec<String> {
        let frame = |(page, width): &(&str, u32)| {
            let page = page.replace("</body>", &format!("{PROBE}</body>"));
            let page = page.replace('&', "&amp;").replace('"', "&quot;");
            format!(
                "<pre class=\"found\"></pre><iframe style=\"width: {width}px; height: 800px; border: 0\" \
                 srcdoc=\"{page}\"></iframe>"
            )
        };
        let frames: Vec<String> = pages.iter().map(frame).collect();
        let file: PathBuf = self.pages.path().join("page.html");
        let around = "<!DOCTYPE html><html lang=\"en\"><body>";
        fs::write(&file, format!("{around}{}</body></html>", frames.concat())).unwrap();
        let output = Command::new(self.program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
            ])
            .args(["--dump-dom", "--virtual-time-budget=60000", "--window-size=1400,900"])
            .arg(format!("--user-data-dir={}", self.pages.path().join("profile").display()))
            .arg(format!("file://{}", file.display()))
            .env("HOME", self.pages.path())
            .timeout(Duration::from_mins(3))
            .output();
        let text = output.map_or_else(
            |error| error.to_string(),
            |output| String::from_utf8_lossy(&output.stdout).into_owned(),
        );
        let found = text.split("<pre class=\"found\">").skip(1).filter_map(|rest| rest.split_once("</pre>"));
        found.map(|(found, _)| found.to_owned()).collect()
    }
}

#[test]
fn the_page_has_no_barrier_in_light_and_dark_and_fits_a_small_screen() {
    let Some(browser) = Browser::find() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pod = b"apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: a}\nspec: {containers: [{name: c, image: 'x:1', \
                livenessProbe: {}, readinessProbe: {}}]}\n";
    let tree = directory(&[("clean.yaml", pod), ("broken.yaml", b"a: [")]);
    let samples = root.join("kube-tests");
    let mixed =
        ["analyze", "--rules", "all", "-o", "html", "-f", samples.to_str().unwrap(), "-f", "broken.yaml"];
    let clean = ["analyze", "-o", "html", "-f", "clean.yaml"];
    let broken = ["analyze", "-o", "html", "-f", "broken.yaml"];
    let light = [&mixed[..], &clean, &broken].map(|args| run_in(tree.path(), args, "").stdout);
    // The rules for dark screens hold always, as on a dark screen.
    let dark = light.clone().map(|page| page.replace("(prefers-color-scheme: dark)", "all"));
    assert!(light[0] != dark[0] && light[0].contains("<details>"));
    let pages: Vec<_> =
        light.iter().chain(&dark).flat_map(|page| [1280, 360].map(|width| (page.as_str(), width))).collect();
    let found = browser.barriers(&pages);
    let expected: Vec<_> = pages.iter().map(|(_, width)| format!("{width}: nothing")).collect();
    assert_eq!(found, expected, "the pages are mixed, clean and broken, in light and then in dark");
}
