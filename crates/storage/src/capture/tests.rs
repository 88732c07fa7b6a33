use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Everything a reader says about these bytes: lines as `number time frame`, bad lines as their message.
fn read(bytes: &[u8]) -> (Vec<String>, CaptureSummary) {
    let file = file(bytes);
    let mut reader = CaptureReader::open(file.path()).unwrap();
    let mut seen = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        seen.push(match item {
            CaptureItem::Line(l) => format!("{} {} {}", l.number, l.ts_recv.0, String::from_utf8_lossy(l.frame)),
            CaptureItem::Bad(bad) => bad.to_string(),
        });
    }
    assert!(reader.next_item().unwrap().is_none(), "the end stays the end");
    (seen, reader.summary())
}

fn numbered(n: u64) -> Vec<u8> {
    (0..n).flat_map(|i| format!("{} {{\"n\":{i},\"pad\":\"{:x}\"}}\n", 1_000 + i, i * 7_919).into_bytes()).collect()
}

#[test]
fn lines_are_the_same_plain_gzipped_and_in_several_members() {
    let plain = numbered(20_000);
    let cut = 123_457;
    let (lines, summary) = read(&plain);
    assert_eq!((lines.len(), summary.lines, summary.bad_lines), (20_000, 20_000, 0));
    assert_eq!(lines[19_999], format!("20000 20999 {{\"n\":19999,\"pad\":\"{:x}\"}}", 19_999 * 7_919));
    assert_eq!(summary.bytes, plain.len() as u64);
    assert_eq!(summary.sha256, <[u8; 32]>::from(Sha256::digest(&plain)));
    assert_eq!(read(&gz(&plain)), (lines.clone(), summary.clone()));
    let members = [gz(&plain[..cut]), gz(&[]), gz(&plain[cut..])].concat();
    assert_eq!(read(&members), (lines, summary));
}

#[test]
fn bad_lines_are_reported_in_their_places_and_passed() {
    let bytes = b"1 {}\nnospace\nx1 {}\n\n2 \n99999999999999999999 {}\n3 \xff\n-4 {}\n5 [1]\r\n";
    let (seen, summary) = read(bytes);
    assert_eq!(
        seen,
        [
            "1 1 {}",
            "line 2: no space between receive time and frame",
            "line 3: receive time is not a count of nanoseconds: \"x1\"",
            "line 4: no space between receive time and frame",
            "line 5: no frame after the receive time",
            "line 6: receive time is not a count of nanoseconds: \"99999999999999999999\"",
            "line 7: not UTF-8",
            "line 8: receive time is not a count of nanoseconds: \"-4\"",
            "9 5 [1]",
        ]
    );
    assert_eq!((summary.lines, summary.bad_lines, summary.bad.len()), (9, 7, 7));
    assert_eq!(summary.sha256, <[u8; 32]>::from(Sha256::digest(bytes)));
}

#[test]
fn a_last_line_without_newline_counts_only_when_it_is_whole() {
    assert_eq!(read(b"1 {}\n2 {\"a\":[1]}").0, ["1 1 {}", "2 2 {\"a\":[1]}"]);
    assert_eq!(read(b"1 {}\n2 {\"a\":[1]").0[1], "line 2: half a line: the file ends in the middle of a frame");
    assert_eq!(read(b"1 {}\n17231").0[1], "line 2: half a line: the file ends in the middle of a frame");
    assert_eq!(read(b"").0, [""; 0]);
}

#[test]
fn every_truncation_of_a_gzip_keeps_what_came_before() {
    let plain = numbered(40);
    let packed = gz(&plain);
    let (whole, _) = read(&packed);
    for cut in 2..packed.len() {
        let (seen, summary) = read(&packed[..cut]);
        let good = seen.iter().filter(|s| !s.starts_with("line ")).count();
        assert_eq!(seen[..good], whole[..good], "cut at {cut}");
        let last = seen.last().unwrap();
        assert!(last.contains("damaged from here on (the file was cut off)"), "cut at {cut}: {last}");
        assert!(summary.bad_lines >= 1 && summary.lines <= 40);
    }
}

#[test]
fn a_flipped_byte_in_a_gzip_is_damage_not_silence() {
    let mut packed = gz(&numbered(2_000));
    let middle = packed.len() / 2;
    packed[middle] ^= 0x55;
    let (seen, summary) = read(&packed);
    assert!(summary.bad_lines >= 1, "{:?}", seen.last());
}

#[test]
fn an_endless_line_is_given_up_in_bounded_memory() {
    let mut bytes = b"1 {}\n2 ".to_vec();
    bytes.resize(bytes.len() + 3 * MAX_LINE, b'x');
    bytes.extend_from_slice(b"\n3 {}\n");
    let packed = file(&gz(&bytes));
    let mut reader = CaptureReader::open(packed.path()).unwrap();
    assert_eq!(reader.next_line().unwrap().unwrap().number, 1);
    let next = reader.next_line().unwrap().unwrap();
    assert_eq!((next.number, next.frame), (3, b"{}".as_slice()));
    assert!(reader.next_line().unwrap().is_none());
    let summary = reader.summary();
    assert_eq!(summary.bad, [BadLine { line: 2, why: BadLineReason::TooLong }]);
    assert_eq!((summary.lines, summary.bytes), (3, bytes.len() as u64));
    assert_eq!(summary.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));
    assert!(reader.source.buffer().len() <= 4 * MAX_LINE);
}

#[test]
fn a_missing_file_is_named() {
    let e = CaptureReader::open("no/such/capture.jsonl.gz").unwrap_err().to_string();
    assert!(e.contains("no/such/capture.jsonl.gz") && e.contains("check the path"), "{e}");
    // A folder opens on some systems and fails at the first read: either way it is an error that names it.
    let folder = tempfile::tempdir().unwrap();
    let e = CaptureReader::open(folder.path()).unwrap_err().to_string();
    assert!(e.contains(&folder.path().display().to_string()), "{e}");
}

#[test]
fn only_the_first_bad_lines_are_kept_but_all_are_counted() {
    let (_, summary) = read(&b"bad\n".repeat(250));
    assert_eq!((summary.bad_lines, summary.bad.len(), summary.bad[99].line), (250, BAD_LINES_KEPT, 100));
}

/// A stream that hands out `text` in pieces of three bytes and then fails.
struct Failing(&'static [u8], std::io::ErrorKind);

impl std::io::Read for Failing {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.len().min(into.len()).min(3);
        if n == 0 {
            return Err(self.1.into());
        }
        into[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

#[test]
fn a_decoded_stream_gives_its_lines_before_its_damage_and_a_failing_disk_is_not_damage() {
    for (kind, damaged) in [
        (std::io::ErrorKind::InvalidData, true),
        (std::io::ErrorKind::UnexpectedEof, true),
        (std::io::ErrorKind::PermissionDenied, false),
    ] {
        let mut source = Source::decoded(Box::new(Failing(b"one\ntwo\r\nhalf", kind)));
        let mut seen = Vec::new();
        let fault = loop {
            match source.next_line(64) {
                Ok(Some(span)) => seen.push((source.buffer()[span.start..span.end].to_vec(), span.terminated)),
                Ok(None) => panic!("the failure was lost"),
                Err(fault) => break fault,
            }
        };
        assert_eq!(seen, [(b"one".to_vec(), true), (b"two".to_vec(), true), (b"half".to_vec(), false)]);
        assert_eq!(matches!(fault, Fault::Damaged(_)), damaged, "{fault:?}");
        assert_eq!(matches!(fault, Fault::Io(_)), !damaged, "{fault:?}");
    }
}
