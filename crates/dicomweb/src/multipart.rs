//! multipart/related (RFC 2387) read as a stream: a part is never held whole, and every line has a bound.

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use memchr::memmem::find;

/// Bound on the header lines of one part together.
const MAX_HEADERS: usize = 16 * 1024;
/// RFC 2046 5.1.1.
const MAX_BOUNDARY: usize = 70;
/// Bound on the white space behind a boundary.
const MAX_PADDING: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MultipartError {
    #[error("no valid boundary")]
    Boundary,
    #[error("malformed multipart body")]
    Malformed,
    #[error("part headers are too long")]
    HeadersTooLong,
    #[error("the body ended before its last boundary")]
    Truncated,
    #[error("the body could not be read")]
    Read,
}

/// What comes next in the body.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    /// A part begins.
    Part { content_type: Option<String> },
    /// Some of the part's bytes.
    Data(Bytes),
    /// The part ended at its boundary.
    PartEnd,
}

enum State {
    /// Before the first boundary, whose line may stand at the very beginning.
    Preamble,
    Headers,
    Data,
    /// Between parts, after a boundary was read.
    AfterBoundary,
    Done,
}

pub(crate) struct Multipart<S> {
    source: S,
    buffer: BytesMut,
    /// CRLF, two hyphens, boundary.
    delimiter: Vec<u8>,
    state: State,
    ended: bool,
}

impl<S, E> Multipart<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    pub fn new(source: S, boundary: &str) -> Result<Self, MultipartError> {
        let valid = !boundary.is_empty()
            && boundary.len() <= MAX_BOUNDARY
            && !boundary.ends_with(' ')
            && boundary.bytes().all(|b| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b));
        if !valid {
            return Err(MultipartError::Boundary);
        }
        let mut buffer = BytesMut::with_capacity(64 * 1024);
        // The first boundary may lack the CRLF before it; given one, all boundaries look alike.
        buffer.extend_from_slice(b"\r\n");
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        Ok(Self { source, buffer, delimiter, state: State::Preamble, ended: false })
    }

    /// The next piece; `None` after the closing boundary. What follows it is not read.
    pub async fn next(&mut self) -> Result<Option<Piece>, MultipartError> {
        loop {
            match self.state {
                State::Done => return Ok(None),
                State::Preamble => match self.find_delimiter() {
                    Some(at) => {
                        let _ = self.buffer.split_to(at + self.delimiter.len());
                        self.state = State::AfterBoundary;
                    }
                    None => {
                        self.keep_tail();
                        self.more().await?;
                    }
                },
                State::AfterBoundary => {
                    // Two hyphens close the body; else white space and the end of the line.
                    if self.buffer.len() < 2 {
                        self.more().await?;
                        continue;
                    }
                    if self.buffer.starts_with(b"--") {
                        self.state = State::Done;
                        continue;
                    }
                    match find(&self.buffer, b"\r\n") {
                        Some(at)
                            if at <= MAX_PADDING && self.buffer.iter().take(at).all(|b| matches!(b, b' ' | b'\t')) =>
                        {
                            // The CRLF stays: it is also the one before an empty header block.
                            let _ = self.buffer.split_to(at);
                            self.state = State::Headers;
                        }
                        Some(_) => return Err(MultipartError::Malformed),
                        None if self.buffer.len() > MAX_PADDING + 1 => return Err(MultipartError::Malformed),
                        None => self.more().await?,
                    }
                }
                State::Headers => match find(&self.buffer, b"\r\n\r\n") {
                    Some(at) if at <= MAX_HEADERS => {
                        let block = self.buffer.split_to(at + 4);
                        self.state = State::Data;
                        return Ok(Some(Piece::Part { content_type: content_type(&block)? }));
                    }
                    Some(_) => return Err(MultipartError::HeadersTooLong),
                    None if self.buffer.len() > MAX_HEADERS + 4 => return Err(MultipartError::HeadersTooLong),
                    None => self.more().await?,
                },
                State::Data => {
                    match self.find_delimiter() {
                        Some(0) => {
                            let _ = self.buffer.split_to(self.delimiter.len());
                            self.state = State::AfterBoundary;
                            return Ok(Some(Piece::PartEnd));
                        }
                        Some(at) => return Ok(Some(Piece::Data(self.buffer.split_to(at).freeze()))),
                        None => {
                            // The tail may be the beginning of a boundary.
                            let safe = (self.buffer.len() + 1).saturating_sub(self.delimiter.len());
                            if safe >= 16 * 1024 {
                                return Ok(Some(Piece::Data(self.buffer.split_to(safe).freeze())));
                            }
                            self.more().await?;
                        }
                    }
                }
            }
        }
    }

    fn find_delimiter(&self) -> Option<usize> {
        find(&self.buffer, &self.delimiter)
    }

    /// Forgets what cannot be part of a boundary any more.
    fn keep_tail(&mut self) {
        let gone = self.buffer.len().saturating_sub(self.delimiter.len());
        let _ = self.buffer.split_to(gone);
    }

    async fn more(&mut self) -> Result<(), MultipartError> {
        if self.ended {
            return Err(MultipartError::Truncated);
        }
        match self.source.next().await {
            Some(Ok(bytes)) => {
                self.buffer.extend_from_slice(&bytes);
                Ok(())
            }
            Some(Err(_)) => Err(MultipartError::Read),
            None => {
                self.ended = true;
                Err(MultipartError::Truncated)
            }
        }
    }
}

/// The Content-Type of a part; continuation lines are joined, other headers passed over.
fn content_type(block: &[u8]) -> Result<Option<String>, MultipartError> {
    let text = std::str::from_utf8(block).map_err(|_| MultipartError::Malformed)?;
    let mut found: Option<String> = None;
    let mut inside = false;
    for line in text.split("\r\n") {
        if line.starts_with([' ', '\t']) {
            if inside && let Some(value) = &mut found {
                value.push(' ');
                value.push_str(line.trim());
            }
            continue;
        }
        inside = false;
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or(MultipartError::Malformed)?;
        if name.trim().eq_ignore_ascii_case("content-type") {
            found = Some(value.trim().to_owned());
            inside = true;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Parts = Vec<(Option<String>, Vec<u8>)>;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn read(chunks: Vec<Vec<u8>>, boundary: &str) -> Result<Parts, MultipartError> {
        let source = futures::stream::iter(chunks.into_iter().map(|c| Ok::<_, ()>(Bytes::from(c))));
        let mut multipart = Multipart::new(source, boundary)?;
        let mut parts: Parts = Vec::new();
        block_on(async {
            while let Some(piece) = multipart.next().await? {
                match piece {
                    Piece::Part { content_type } => parts.push((content_type, Vec::new())),
                    Piece::Data(bytes) => parts.last_mut().unwrap().1.extend_from_slice(&bytes),
                    Piece::PartEnd => {}
                }
            }
            Ok(parts)
        })
    }

    fn whole(body: &[u8], boundary: &str) -> Result<Parts, MultipartError> {
        read(vec![body.to_vec()], boundary)
    }

    #[test]
    fn parts_and_their_types() {
        let body =
            b"ignored\r\n--b \t\r\nContent-Type: application/dicom;\r\n transfer-syntax=*\r\nX: y\r\n\r\none\r\n\
                     --b\r\n\r\ntwo\r\n--c\r\n\r\n--b--\r\nepilogue";
        let parts = whole(body, "b").unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0], (Some("application/dicom; transfer-syntax=*".to_owned()), b"one".to_vec()));
        assert_eq!(parts[1], (None, b"two\r\n--c\r\n".to_vec()));
        assert_eq!(whole(b"--b--", "b"), Ok(Vec::new()));
    }

    #[test]
    fn broken_bodies_are_refused() {
        assert_eq!(whole(b"", "b"), Err(MultipartError::Truncated));
        assert_eq!(whole(b"--b\r\n\r\nno end", "b"), Err(MultipartError::Truncated));
        assert_eq!(whole(b"--b\n\ndata\n--b--", "b"), Err(MultipartError::Truncated), "bare line feeds");
        assert_eq!(whole(b"--bx\r\n\r\n--b--", "b"), Err(MultipartError::Malformed), "a longer boundary");
        assert_eq!(whole(b"--b\r\nno colon\r\n\r\nx\r\n--b--", "b"), Err(MultipartError::Malformed));
        // However the body is cut into chunks.
        for (padding, fits) in [(256, true), (257, false)] {
            let padded = [b"--b".as_slice(), &vec![b' '; padding], b"\r\n\r\nx\r\n--b--"].concat();
            for chunks in [vec![padded.clone()], padded.chunks(1).map(<[u8]>::to_vec).collect()] {
                assert_eq!(read(chunks, "b").is_ok(), fits, "{padding}");
            }
        }
        let huge = [b"--b\r\nA: ".as_slice(), &vec![b'x'; 20_000], b"\r\n\r\n\r\n--b--"].concat();
        assert_eq!(whole(&huge, "b"), Err(MultipartError::HeadersTooLong));
        for boundary in ["", "a b ", "ü", "a\"b", &"x".repeat(71)] {
            assert_eq!(whole(b"", boundary), Err(MultipartError::Boundary), "{boundary}");
        }
    }

    #[test]
    fn memory_stays_bounded() {
        let mut chunks = vec![b"--b\r\n\r\n".to_vec()];
        chunks.extend(std::iter::repeat_n(vec![b'\r'; 8192], 200));
        chunks.push(b"\r\n--b--".to_vec());
        let source = futures::stream::iter(chunks.into_iter().map(|c| Ok::<_, ()>(Bytes::from(c))));
        let mut multipart = Multipart::new(source, "b").unwrap();
        let mut total = 0;
        block_on(async {
            while let Some(piece) = multipart.next().await.unwrap() {
                assert!(multipart.buffer.len() < 64 * 1024);
                if let Piece::Data(bytes) = piece {
                    total += bytes.len();
                }
            }
        });
        assert_eq!(total, 200 * 8192);
    }

    fn tricky() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'b'), Just(b':'), any::<u8>()],
            0..120,
        )
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunks(chunks in prop::collection::vec(tricky(), 0..8)) {
            let _ = read(chunks, "b");
        }

        #[test]
        fn written_parts_read_back(
            bodies in prop::collection::vec(tricky(), 0..5),
            cut in 1usize..40,
        ) {
            let boundary = "0123456789abcdef";
            let mut body = Vec::new();
            for part in &bodies {
                body.extend(format!("--{boundary}\r\nContent-Type: a/b\r\n\r\n").into_bytes());
                body.extend(part);
                body.extend(b"\r\n");
            }
            body.extend(format!("--{boundary}--\r\n").into_bytes());
            let parts = read(body.chunks(cut).map(<[u8]>::to_vec).collect(), boundary).unwrap();
            prop_assert_eq!(parts.into_iter().map(|p| p.1).collect::<Vec<_>>(), bodies);
        }
    }
}
