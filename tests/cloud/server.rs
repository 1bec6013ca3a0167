//! A server that answers as S3 does, as far as these tests ask: objects, ranges, lists, conditions, parts.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The one key that the server knows.
pub(super) const KEY: &str = "AKIDOFTHESETESTS";

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// Bucket and key.
    pub(super) key: String,
    pub(super) range: Option<String>,
    /// Bytes of the answer.
    pub(super) sent: usize,
    pub(super) headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// What is answered in place of what would be.
pub(super) enum Answer {
    /// What would be.
    Usual,
    /// The same, whoever asks.
    Open,
    /// The same, later.
    Late(Duration),
    /// Half of it.
    CutOff,
    /// What would be, done and not answered.
    Lost,
    /// The same page of a list as before, with another to follow.
    SamePage,
    /// An error.
    Status(u16, &'static str),
    /// That it lies elsewhere.
    Elsewhere(String),
}

type Answering = Arc<dyn Fn(&Request, &Objects) -> Answer + Send + Sync>;

/// What the server holds.
#[derive(Default)]
pub(super) struct Objects {
    held: Mutex<BTreeMap<String, Arc<Vec<u8>>>>,
    uploads: Mutex<BTreeMap<String, BTreeMap<u32, Vec<u8>>>>,
    requests: Mutex<Vec<Request>>,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Objects {
    pub(super) fn put(&self, key: &str, bytes: &[u8]) {
        self.held.lock().expect("sound").insert(key.to_owned(), Arc::new(bytes.to_vec()));
    }
}

pub(super) struct Server {
    address: String,
    objects: Arc<Objects>,
    answering: Arc<Mutex<Answering>>,
}

impl Server {
    /// A server that ends with the tests.
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let objects = Arc::new(Objects::default());
        let usual: Answering = Arc::new(|_, _| Answer::Usual);
        let answering = Arc::new(Mutex::new(usual));
        let server = Self { address, objects: Arc::clone(&objects), answering: Arc::clone(&answering) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let (objects, answering) = (Arc::clone(&objects), Arc::clone(&answering));
                std::thread::spawn(move || serve(&stream, &objects, &answering));
            }
        });
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn put(&self, key: &str, bytes: &[u8]) {
        self.objects.put(key, bytes);
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.objects.held.lock().expect("sound").get(key).map(|bytes| bytes.to_vec())
    }

    /// Names of all objects.
    pub(super) fn keys(&self) -> Vec<String> {
        self.objects.held.lock().expect("sound").keys().cloned().collect()
    }

    pub(super) fn remove(&self, key: &str) {
        assert!(self.objects.held.lock().expect("sound").remove(key).is_some(), "{key}");
    }

    /// Everything that was asked so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.objects.requests.lock().expect("sound").clone()
    }

    /// Uploads that are neither complete nor taken back.
    pub(super) fn n_uploads(&self) -> usize {
        self.objects.uploads.lock().expect("sound").len()
    }

    /// The most requests that were under way at once.
    pub(super) fn most_at_once(&self) -> usize {
        self.objects.most_at_once.load(Ordering::SeqCst)
    }

    /// From now on answers as `answering` says.
    pub(super) fn answer(&self, answering: impl Fn(&Request, &Objects) -> Answer + Send + Sync + 'static) {
        *self.answering.lock().expect("sound") = Arc::new(answering);
    }
}

fn serve(stream: &TcpStream, objects: &Objects, answering: &Mutex<Answering>) {
    let mut reader = BufReader::new(stream);
    while let Some(mut request) = read_request(&mut reader) {
        let now = objects.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        objects.most_at_once.fetch_max(now, Ordering::SeqCst);
        let answering = Arc::clone(&*answering.lock().expect("sound"));
        let answer = answering(&request, objects);
        if let Answer::Late(by) = answer {
            std::thread::sleep(by);
        }
        let is_known = request
            .headers
            .get("authorization")
            .is_some_and(|header| header.contains(&format!("Credential={KEY}/")));
        let reply = match &answer {
            Answer::Status(status, code) => Reply::error(*status, code),
            Answer::Elsewhere(url) => {
                Reply { headers: vec![("Location", url.clone())], ..Reply::new(307, "") }
            }
            Answer::Open => usual(&request, objects),
            Answer::SamePage => {
                let page = String::from_utf8(usual(&request, objects).body).expect("a list");
                let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>";
                Reply::new(200, page.replacen("<ListBucketResult>", &format!("<ListBucketResult>{more}"), 1))
            }
            _ if !is_known => Reply::error(403, "InvalidAccessKeyId"),
            _ => usual(&request, objects),
        };
        let is_cut = matches!(answer, Answer::CutOff);
        request.sent = reply.body.len();
        request.body.clear();
        let is_head = request.method == "HEAD";
        objects.requests.lock().expect("sound").push(request);
        objects.under_way.fetch_sub(1, Ordering::SeqCst);
        if matches!(answer, Answer::Lost) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
        if write_reply(stream, &reply, is_head, is_cut).is_err() || is_cut {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = target.split('?').next().unwrap_or_default();
    let key = decoded(path.trim_start_matches('/'));
    let range = headers.get("range").cloned();
    Some(Request { method, target, key, range, sent: 0, headers, body })
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    fn error(status: u16, code: &str) -> Self {
        Self::new(status, format!("<Error><Code>{code}</Code><Message>no</Message></Error>"))
    }
}

fn usual(request: &Request, objects: &Objects) -> Reply {
    let (bucket, key) = request.key.split_once('/').unwrap_or((&request.key, ""));
    let query = query_of(&request.target);
    let mut held = objects.held.lock().expect("sound");
    let buckets: BTreeSet<String> =
        held.keys().filter_map(|key| key.split('/').next()).map(str::to_owned).collect();
    if !buckets.contains(bucket) {
        return Reply::error(404, "NoSuchBucket");
    }
    match request.method.as_str() {
        "GET" if key.is_empty() => list(bucket, &query, &held),
        "GET" | "HEAD" => match held.get(&request.key) {
            Some(bytes) => of_object(request, bytes),
            None => Reply::error(404, "NoSuchKey"),
        },
        "PUT" if query.contains_key("uploadId") => {
            let part = query["partNumber"].parse().expect("a number");
            let mut uploads = objects.uploads.lock().expect("sound");
            // Taken back while this part was on its way.
            let Some(upload) = uploads.get_mut(&query["uploadId"]) else {
                return Reply::error(404, "NoSuchUpload");
            };
            upload.insert(part, request.body.clone());
            Reply { headers: vec![("ETag", tag(&request.body))], ..Reply::new(200, "") }
        }
        "PUT" if request.headers.contains_key("if-none-match") && held.contains_key(&request.key) => {
            Reply::error(412, "PreconditionFailed")
        }
        "PUT" => {
            held.insert(request.key.clone(), Arc::new(request.body.clone()));
            Reply { headers: vec![("ETag", tag(&request.body))], ..Reply::new(200, "") }
        }
        "POST" if query.contains_key("delete") => {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let mut deleted = String::new();
            for key in body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
                held.remove(&format!("{bucket}/{key}"));
                deleted.push_str(&format!("<Deleted><Key>{key}</Key></Deleted>"));
            }
            Reply::new(200, format!("<DeleteResult>{deleted}</DeleteResult>"))
        }
        "POST" if query.contains_key("uploads") => {
            let id = request.key.replace('/', "-");
            objects.uploads.lock().expect("sound").insert(id.clone(), BTreeMap::new());
            let result = "InitiateMultipartUploadResult";
            let key = format!("<Bucket>{bucket}</Bucket><Key>{key}</Key>");
            Reply::new(200, format!("<{result}>{key}<UploadId>{id}</UploadId></{result}>"))
        }
        "POST" => {
            let parts = objects.uploads.lock().expect("sound").remove(&query["uploadId"]).expect("begun");
            let bytes: Vec<u8> = parts.into_values().flatten().collect();
            let result = "CompleteMultipartUploadResult";
            let body = format!("<{result}><ETag>{}</ETag></{result}>", tag(&bytes));
            held.insert(request.key.clone(), Arc::new(bytes));
            Reply::new(200, body)
        }
        "DELETE" => {
            match query.get("uploadId") {
                Some(id) => drop(objects.uploads.lock().expect("sound").remove(id)),
                None => drop(held.remove(&request.key)),
            }
            Reply::new(204, "")
        }
        _ => Reply::error(405, "MethodNotAllowed"),
    }
}

fn of_object(request: &Request, bytes: &[u8]) -> Reply {
    let tag = tag(bytes);
    if request.headers.get("if-match").is_some_and(|wanted| *wanted != tag) {
        return Reply::error(412, "PreconditionFailed");
    }
    let mut headers = vec![("ETag", tag), ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT".to_owned())];
    let Some(range) = &request.range else { return Reply { headers, ..Reply::new(200, bytes) } };
    let Some(range) = range_of(range, bytes.len()) else { return Reply::error(416, "InvalidRange") };
    headers.push(("Content-Range", format!("bytes {}-{}/{}", range.start, range.end - 1, bytes.len())));
    Reply { headers, ..Reply::new(206, &bytes[range]) }
}

/// `bytes=FROM-TO`, both within, or `bytes=-LAST`.
fn range_of(text: &str, length: usize) -> Option<Range<usize>> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = if from.is_empty() {
        length.saturating_sub(to.parse().ok()?)..length
    } else {
        from.parse().ok()?..(to.parse::<usize>().ok()? + 1).min(length)
    };
    (range.start < range.end).then_some(range)
}

fn list(bucket: &str, query: &BTreeMap<String, String>, held: &BTreeMap<String, Arc<Vec<u8>>>) -> Reply {
    let prefix = query.get("prefix").map_or("", String::as_str);
    let (mut contents, mut folders) = (String::new(), BTreeSet::new());
    for (key, bytes) in held {
        let Some(key) = key.strip_prefix(bucket).and_then(|key| key.strip_prefix('/')) else { continue };
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        match rest.find('/').filter(|_| query.contains_key("delimiter")) {
            Some(slash) => drop(folders.insert(format!("{prefix}{}", &rest[..=slash]))),
            None => contents.push_str(&format!(
                "<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>{}</ETag>\
                 <Size>{}</Size></Contents>",
                tag(bytes),
                bytes.len()
            )),
        }
    }
    let folders: String = folders
        .iter()
        .map(|folder| format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"))
        .collect();
    Reply::new(200, format!("<ListBucketResult>{contents}{folders}</ListBucketResult>"))
}

fn tag(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("\"{hash:016x}\"")
}

fn query_of(target: &str) -> BTreeMap<String, String> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::new();
    let mut place = 0;
    while place < bytes.len() {
        let escaped = text.get(place + 1..place + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = escaped.filter(|_| bytes[place] == b'%') {
            plain.push(byte);
            place += 3;
        } else {
            plain.push(bytes[place]);
            place += 1;
        }
    }
    String::from_utf8(plain).expect("UTF-8")
}

fn write_reply(mut stream: &TcpStream, reply: &Reply, is_head: bool, is_cut: bool) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} x\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    let n = if is_cut { reply.body.len() / 2 } else { reply.body.len() };
    if !is_head {
        stream.write_all(&reply.body[..n])?;
    }
    stream.flush()
}
