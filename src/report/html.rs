//! One self-contained page: conclusions, pictures, the numbers behind them. No network, no script needed.

use std::fmt::Write as _;
use std::io::{self, Write};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::write::GzEncoder;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::figure::{Figure, FigureSize, MarkRow, Theme, drawing};
use crate::printable::printable;

/// A table of a page: headings, and rows of as many cells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HtmlTable {
    /// Headings.
    pub headings: Vec<String>,
    /// Rows.
    pub rows: Vec<Vec<String>>,
}

/// A part of a page under a heading of its own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HtmlSection {
    /// Heading.
    pub heading: String,
    /// Sentences that say what was found.
    pub conclusions: Vec<String>,
    /// Pictures, the most telling first; those beyond the first few are folded.
    pub figures: Vec<Figure>,
    /// The numbers.
    pub tables: Vec<HtmlTable>,
}

/// A page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HtmlPage {
    /// Title.
    pub title: String,
    /// Parts in order.
    pub sections: Vec<HtmlSection>,
    /// Every document behind it, as JSON.
    pub documents: Vec<Value>,
    /// Version of the program.
    pub version: String,
}

/// Pictures of a section that are not folded.
const FIGURES_OPEN: usize = 3;

/// Rows of a table that are not folded.
const ROWS_OPEN: usize = 24;

/// Sorts a table by the column whose heading is pressed. All the script there is.
const SCRIPT: &str = "document.addEventListener('click',e=>{const h=e.target.closest('th');if(!h)return;\
const t=h.closest('table'),i=[...h.parentNode.children].indexOf(h),b=t.tBodies[0],d=h.dataset.d=h.dataset.d==='1'?'-1':'1';\
const v=r=>{const x=r.children[i].textContent.replace(/,/g,'').replace('\u{2212}','-'),n=parseFloat(x);return isNaN(n)?x:n};\
[...b.rows].sort((a,c)=>{const x=v(a),y=v(c);return(x<y?-1:x>y?1:0)*d}).forEach(r=>b.append(r))});";

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#fff;--text:#1b1b1b;--quiet:#595959;--line:#dcdcdc;--soft:#f4f5f7}\
@media (prefers-color-scheme:dark){:root{--ground:#16181c;--text:#ececec;--quiet:#b4b4b4;--line:#3a3d44;--soft:#20232a}}\
*{box-sizing:border-box}body{margin:0 auto;max-width:1000px;padding:1.2rem;background:var(--ground);color:var(--text);\
font:16px/1.5 system-ui,'Segoe UI','Helvetica Neue',Arial,sans-serif}\
h1{font-size:1.6rem;line-height:1.25;overflow-wrap:anywhere}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid var(--line)}\
.found{background:var(--soft);border-left:4px solid #0072b2;padding:.6rem .9rem;margin:.8rem 0}.found p{margin:.2rem 0}\
figure{margin:1.2rem 0;overflow-x:auto}figure svg{max-width:100%;height:auto}figcaption,.quiet{color:var(--quiet);font-size:.86rem}\
.wide{overflow-x:auto;margin:.8rem 0}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}\
th,td{padding:.25rem .7rem;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}\
th{cursor:pointer}td.n{text-align:right}details{margin:.5rem 0}summary{cursor:pointer}\
pre{overflow-x:auto;background:var(--soft);padding:.8rem;font-size:.8rem}a{color:inherit}\
@media print{body{max-width:none;color:#000;background:#fff}details:not([open])>*:not(summary){display:none}figure,tr{break-inside:avoid}}";

/// Writes a page.
///
/// # Errors
/// If writing fails.
pub fn write_html(page: &HtmlPage, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(render(page).into_string().as_bytes())
}

fn render(page: &HtmlPage) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
                title { (shown(&page.title)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (shown(&page.title)) }
                    @if page.sections.len() > 1 {
                        nav class="quiet" aria-label="Contents" {
                            @for (number, section) in page.sections.iter().enumerate() {
                                @if number > 0 { " · " }
                                a href={ "#part-" (number) } { (shown(&section.heading)) }
                            }
                        }
                    }
                    @for (number, section) in page.sections.iter().enumerate() { (part(number, section)) }
                    section {
                        h2 { "To do it again" }
                        p class="quiet" { "Made by simic " (page.version) ". The documents behind this page, with all settings:" }
                        @for document in &page.documents { (document_of(document)) }
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// Text without what acts on a reader unseen; maud escapes the rest.
fn shown(text: &str) -> String {
    printable(text).into_owned()
}

fn part(number: usize, section: &HtmlSection) -> Markup {
    html! {
        section id={ "part-" (number) } {
            h2 { (shown(&section.heading)) }
            @if !section.conclusions.is_empty() {
                div class="found" { @for sentence in &section.conclusions { p { (shown(sentence)) } } }
            }
            @for (place, figure) in section.figures.iter().take(FIGURES_OPEN).enumerate() {
                (picture(&format!("p{number}-{place}"), figure))
            }
            @if section.figures.len() > FIGURES_OPEN {
                details {
                    summary { (section.figures.len() - FIGURES_OPEN) " more pictures" }
                    @for (place, figure) in section.figures.iter().enumerate().skip(FIGURES_OPEN) {
                        (picture(&format!("p{number}-{place}"), figure))
                    }
                }
            }
            @if let Some((first, others)) = section.tables.split_first() {
                (table_of(first))
                @for table in others {
                    details {
                        summary { "By " (shown(table.headings.first().map_or("row", String::as_str))) ": " (table.rows.len()) " rows" }
                        (table_of(table))
                    }
                }
            }
        }
    }
}

/// A picture with its numbers behind it; `id` makes its ids the page's own.
fn picture(id: &str, figure: &Figure) -> Markup {
    let named = Figure { name: format!("{id}-{}", figure.name), ..figure.clone() };
    let picture = drawing(&named, FigureSize::default(), Theme::Light);
    let rows = figure.rows();
    let has_x = rows.iter().any(|row| row.x.is_some());
    html! {
        figure id=(id) {
            (PreEscaped(&picture))
            figcaption {
                a href=(data_address("image/svg+xml", &picture)) download={ (figure.name) ".svg" } { "SVG" }
                " · "
                a href=(data_address("text/csv", &csv_of(&rows, has_x))) download={ (figure.name) ".csv" } { "CSV" }
            }
            details {
                summary class="quiet" { "Numbers" }
                (table_of(&marks_table(&rows, has_x)))
            }
        }
    }
}

fn marks_table(rows: &[MarkRow], has_x: bool) -> HtmlTable {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let mut headings = vec!["name".to_owned()];
    headings.extend(has_x.then(|| "x".to_owned()));
    headings.extend(["value", "low", "high"].map(str::to_owned));
    let row = |row: &MarkRow| {
        let mut cells = vec![row.name.clone()];
        cells.extend(has_x.then(|| number(row.x)));
        cells.extend([row.value, row.low, row.high].map(number));
        cells
    };
    HtmlTable { headings, rows: rows.iter().take(MARKS_SHOWN).map(row).collect() }
}

/// Marks listed behind a picture; all of them are in its CSV up to that many lines too.
const MARKS_SHOWN: usize = 2000;

fn csv_of(rows: &[MarkRow], has_x: bool) -> String {
    let table = marks_table(rows, has_x);
    let cell = |text: &String| {
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.clone()
        }
    };
    let line = |cells: &Vec<String>| cells.iter().map(cell).collect::<Vec<_>>().join(",") + "\n";
    let mut text = line(&table.headings);
    table.rows.iter().for_each(|row| text.push_str(&line(row)));
    text
}

/// A file inside the page, for saving.
fn data_address(kind: &str, contents: &str) -> String {
    let mut address = format!("data:{kind};charset=utf-8,");
    for byte in contents.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

/// Bytes of a document up to which it stands in the page as it is: beyond, packed it is a fifth.
const LARGEST_PLAIN: usize = 1 << 16;

/// A file inside the page, packed with gzip.
fn packed_address(contents: &str) -> String {
    let mut packed = Vec::new();
    let mut encoder = GzEncoder::new(&mut packed, flate2::Compression::best());
    let written = encoder.write_all(contents.as_bytes()).and_then(|()| encoder.try_finish());
    drop(encoder);
    let Ok(()) = written else { unreachable!("memory takes all that is written") };
    format!("data:application/gzip;base64,{}", BASE64_STANDARD.encode(packed))
}

fn is_number(text: &str) -> bool {
    text.chars().next().is_some_and(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '\u{2212}' | '<'))
}

fn table_of(table: &HtmlTable) -> Markup {
    let rows = |rows: &[Vec<String>]| {
        html! {
            @for row in rows {
                tr { @for cell in row {
                    @if is_number(cell) { td class="n" { (shown(cell)) } } @else { td { (shown(cell)) } }
                } }
            }
        }
    };
    let whole = |body: &[Vec<String>]| {
        html! {
            div class="wide" {
                table {
                    thead { tr { @for heading in &table.headings { th scope="col" { (shown(heading)) } } } }
                    tbody { (rows(body)) }
                }
            }
        }
    };
    let (open, folded) = table.rows.split_at(table.rows.len().min(ROWS_OPEN));
    html! {
        (whole(open))
        @if !folded.is_empty() {
            details { summary { (folded.len()) " more rows" } (whole(folded)) }
        }
    }
}

fn document_of(document: &Value) -> Markup {
    let schema = document.get("schema").and_then(Value::as_str).unwrap_or("document").to_owned();
    let text = serde_json::to_string(document).unwrap_or_default();
    let settings =
        document.get("settings").map(|settings| serde_json::to_string_pretty(settings).unwrap_or_default());
    html! {
        details {
            summary { (schema) }
            @if let Some(settings) = settings { pre { (shown_lines(&settings)) } }
            @let name = schema.replace('/', "-");
            @if text.len() > LARGEST_PLAIN {
                p { a href=(packed_address(&text)) download={ (name) ".json.gz" } { "JSON (gzip)" } }
            } @else {
                p { a href=(data_address("application/json", &text)) download={ (name) ".json" } { "JSON" } }
            }
        }
    }
}

fn shown_lines(text: &str) -> String {
    crate::printable::printable_lines(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> HtmlPage {
        HtmlPage {
            title: "runs <script>alert(1)</script>\u{202e}".to_owned(),
            sections: vec![HtmlSection {
                heading: "Attribution & more".to_owned(),
                conclusions: vec!["\"attn\" <helps> most".to_owned()],
                figures: Vec::new(),
                tables: vec![HtmlTable {
                    headings: vec!["slot".to_owned(), "mean".to_owned()],
                    rows: (0..30)
                        .map(|i| vec![format!("<img src=x onerror=alert({i})>"), "0.1".to_owned()])
                        .collect(),
                }],
            }],
            documents: vec![
                serde_json::json!({"schema": "simic.shapley/1", "settings": {"columns": {"</pre>": "a"}}}),
            ],
            version: "0".to_owned(),
        }
    }

    #[test]
    fn nothing_from_a_recording_becomes_markup() {
        let text = render(&page()).into_string();
        for raw in ["<script>alert", "<img", "</pre>\"", "\u{202e}", "<helps>"] {
            assert!(!text.contains(raw), "{raw} in the page");
        }
        assert!(text.contains("&lt;img src=x onerror=alert(0)&gt;"));
        assert!(text.contains("6 more rows"));
        assert!(SCRIPT.len() < 2048);
        // No address leaves the page.
        assert!(!text.contains("http://") && !text.contains("https://"), "{text}");
        assert_eq!(text, render(&page()).into_string());
    }
}
