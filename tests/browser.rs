//! Reports in a real browser: nothing is asked of a network, nothing is logged, figures are there with their names, no text
//! lies on another, and nothing is wider than a phone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What is measured in the page, once it is laid out.
const PROBE: &str = r"<script>
addEventListener('load', () => {
  const problems = [], width = document.documentElement.clientWidth;
  const box = (element) => element.getBoundingClientRect();
  for (const svg of document.querySelectorAll('svg')) {
    const named = (tag) => (svg.querySelector(tag)?.textContent ?? '').trim();
    if (svg.getAttribute('role') !== 'img' || !named('title') || !named('desc')) problems.push('a figure without a name');
    const texts = [...svg.querySelectorAll('text')].filter((text) => text.textContent.trim());
    const boxes = texts.map((text) => [text.textContent, box(text)]);
    for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
      const [a, p] = boxes[i], [b, q] = boxes[j];
      const across = Math.min(p.right, q.right) - Math.max(p.left, q.left);
      const down = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (across > 1 && down > 3) problems.push(`${a} lies on ${b}`);
    }
    if (box(svg).width > width + 1) problems.push('a figure wider than the page');
  }
  if (document.documentElement.scrollWidth > width + 1) problems.push('the page scrolls sideways');
  for (const entry of performance.getEntriesByType('resource')) problems.push(`asks for ${entry.name}`);
  const probe = document.createElement('pre');
  probe.id = 'probe';
  const ground = getComputedStyle(document.body).backgroundColor;
  probe.textContent = JSON.stringify({ figures: document.querySelectorAll('figure svg').length, problems, ground, width });
  document.body.appendChild(probe);
});
</script>";

/// A page as wide as a phone: windows have a least width, frames have none.
const PHONE: &str = r#"<!doctype html><body><iframe src="PAGE" style="width:360px;height:4000px;border:0"></iframe><script>
const frame = document.querySelector('iframe');
frame.addEventListener('load', () => setTimeout(() => {
  document.body.appendChild(frame.contentDocument.getElementById('probe'));
}, 100));
</script></body>"#;

/// A browser that runs without a screen; said where there is none.
fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("SIMIC_BROWSER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut known = std::env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name)));
    let found = named.or_else(|| known.find(|path| path.is_file()));
    if found.is_none() {
        println!(
            "no browser: reports are not opened in one (apt-get install chromium, or SIMIC_BROWSER=PATH)"
        );
    }
    found
}

/// Runs the browser on a page in a folder of its own, away from any network.
fn open(browser: &Path, folder: &Path, flags: &[&str], page: &Path) -> (String, String) {
    let output = Command::new("timeout")
        .arg("120")
        .arg(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args([
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            "--virtual-time-budget=3000",
        ])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(flags)
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// What the probe says of a page.
fn probed(browser: &Path, folder: &Path, flags: &[&str], page: &Path) -> Value {
    let (dom, log) = open(browser, folder, &[&["--dump-dom"][..], flags].concat(), page);
    let said: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(said.is_empty(), "the page logs {said:?}");
    let (_, after) = dom.split_once("<pre id=\"probe\">").unwrap_or_else(|| panic!("no probe: {log}"));
    let text = after.split("</pre>").next().unwrap_or_default();
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn reports_open_in_a_browser_without_a_fault() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    // Each with the least number of figures in it.
    let reports: [(&str, &[&str], u64); 4] = [
        ("games", &["fixtures/digits_regions.parquet"], 5),
        ("steps", &["fixtures/normalizers/steps.parquet"], 2),
        ("bounds", &["tests/cli/data/missing.csv"], 1),
        ("log", &["fixtures/esper/run_s_s11/events.jsonl.gz"], 2),
    ];
    for (name, arguments, n_figures) in reports {
        let page = folder.path().join(format!("{name}.html"));
        let output = Command::new(env!("CARGO_BIN_EXE_simic"))
            .arg("report")
            .args(arguments)
            .args(["--no-config", "-o"])
            .arg(&page)
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let html = std::fs::read_to_string(&page).expect("a page");
        assert!(html.len() < 3_000_000, "{name}: {} bytes", html.len());
        std::fs::write(&page, html.replacen("</body>", &format!("{PROBE}</body>"), 1)).expect("written");
        let phone = folder.path().join(format!("{name}-phone.html"));
        std::fs::write(&phone, PHONE.replace("PAGE", &format!("{name}.html"))).expect("written");
        let look = |page: &Path, flag: &str| {
            let found = probed(&browser, folder.path(), &["--window-size=1280,900", flag], page);
            assert_eq!(found["problems"], serde_json::json!([]), "{name} {flag}");
            assert!(found["figures"].as_u64() >= Some(n_figures), "{name} {flag}: {found}");
            found
        };
        let wide = look(&page, "--blink-settings=preferredColorScheme=1");
        let dark = look(&page, "--blink-settings=preferredColorScheme=0");
        let narrow = look(&phone, "--allow-file-access-from-files");
        assert!(wide["ground"] != dark["ground"], "{name}: dark is {dark}");
        assert!(narrow["width"].as_u64() <= Some(360), "{name}: {narrow}");
        let pdf = folder.path().join(format!("{name}.pdf"));
        open(&browser, folder.path(), &[&format!("--print-to-pdf={}", pdf.display())], &page);
        let printed = std::fs::read(&pdf).expect("printed");
        assert!(printed.starts_with(b"%PDF") && printed.len() > 10_000, "{name}: {} bytes", printed.len());
    }
}
