//! The pages of Ogg: found by their pattern, proved by their checksum. Bytes that are no page are passed over and counted.

use symphonia::core::checksum::Crc32;
use symphonia::core::io::Monitor;

use super::super::window::Window;

/// The bytes of a page's header before the table of its segments.
const HEADER: usize = 27;

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page {
    /// Whether the first packet began on the page before.
    pub is_continued: bool,
    /// Whether a stream begins here.
    pub is_first: bool,
    /// Whether the stream ends here.
    pub is_last: bool,
    /// The codec's position at the end of the last packet that ends here; `None` where none ends.
    pub granule: Option<u64>,
    /// The number of the stream.
    pub serial: u32,
    /// The number of the page in its stream.
    pub sequence: u32,
    /// The packets, or their parts that are here.
    pub packets: Vec<Vec<u8>>,
    /// Whether the last of them goes on on the next page.
    pub goes_on: bool,
    /// The bytes before the page that are none.
    pub lost: u64,
}

/// Reads pages.
pub(super) struct Pages {
    window: Window,
    /// The bytes that are no pages since the last one.
    lost: u64,
}

impl Pages {
    pub fn new(window: Window) -> Self {
        Self { window, lost: 0 }
    }

    /// The bytes behind the last page that are none.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The next page; `None` at the end of the file.
    pub fn next(&mut self) -> Result<Option<Page>, String> {
        loop {
            // No more is waited for than the page needs: the one after it may be seconds away in a live stream.
            let mut wanted = HEADER;
            loop {
                match needed(self.window.peek(wanted)?) {
                    more if more > wanted => wanted = more,
                    _ => break,
                }
            }
            let bytes = self.window.peek(wanted)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let at = bytes.windows(4).position(|bytes| bytes == b"OggS");
            let skipped = at.unwrap_or_else(|| bytes.len().saturating_sub(3).max(1));
            if skipped > 0 {
                self.window.pass(skipped);
                self.lost += skipped as u64;
                continue;
            }
            match parse(bytes) {
                Some((mut page, length)) => {
                    page.lost = std::mem::take(&mut self.lost);
                    self.window.pass(length);
                    return Ok(Some(page));
                }
                None => {
                    self.window.pass(1);
                    self.lost += 1;
                }
            }
        }
    }
}

/// The bytes that are needed for the page at the beginning of these, as far as they tell it.
fn needed(bytes: &[u8]) -> usize {
    let Some(header) = bytes.get(..HEADER).filter(|header| header.starts_with(b"OggS")) else { return HEADER };
    let table = HEADER + usize::from(header[26]);
    let lengths = bytes.get(HEADER..table).unwrap_or_default();
    table + lengths.iter().map(|length| usize::from(*length)).sum::<usize>()
}

/// The page at the beginning of these bytes, and its length; `None` for a damaged one.
pub(super) fn parse(bytes: &[u8]) -> Option<(Page, usize)> {
    let header = bytes.get(..HEADER)?;
    let lengths = bytes.get(HEADER..HEADER + usize::from(header[26]))?;
    let begin = HEADER + lengths.len();
    let length = begin + lengths.iter().map(|length| usize::from(*length)).sum::<usize>();
    let whole = bytes.get(..length)?;
    if !header.starts_with(b"OggS\0") || header[5] & 0xf8 != 0 {
        return None;
    }
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let mut checksum = Crc32::new(0);
    checksum.process_buf_bytes(&header[..22]);
    checksum.process_buf_bytes(&[0; 4]);
    checksum.process_buf_bytes(&whole[26..]);
    if checksum.crc() != word(22) {
        return None;
    }
    let (mut packets, mut goes_on, mut at) = (vec![Vec::new()], true, begin);
    for length in lengths {
        let end = at + usize::from(*length);
        if !goes_on {
            packets.push(Vec::new());
        }
        if let Some(packet) = packets.last_mut() {
            packet.extend_from_slice(&whole[at..end]);
        }
        // A segment that is not full ends its packet.
        goes_on = *length == 255;
        at = end;
    }
    if lengths.is_empty() {
        (packets, goes_on) = (Vec::new(), false);
    }
    let granule = u64::from(word(6)) | u64::from(word(10)) << 32;
    let page = Page {
        is_continued: header[5] & 1 != 0,
        is_first: header[5] & 2 != 0,
        is_last: header[5] & 4 != 0,
        granule: (granule != u64::MAX).then_some(granule),
        serial: word(14),
        sequence: word(18),
        packets,
        goes_on,
        lost: 0,
    };
    Some((page, length))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;

    use symphonia::core::io::MediaSourceStream;

    use super::*;

    /// A page of one packet.
    pub fn page(flags: u8, granule: u64, serial: u32, sequence: u32, packet: &[u8]) -> Vec<u8> {
        let mut bytes = b"OggS\0".to_vec();
        bytes.push(flags);
        bytes.extend(granule.to_le_bytes());
        bytes.extend([serial.to_le_bytes(), sequence.to_le_bytes(), [0; 4]].concat());
        let lengths: Vec<u8> = std::iter::repeat_n(255, packet.len() / 255).chain([(packet.len() % 255) as u8]).collect();
        bytes.push(lengths.len() as u8);
        bytes.extend(lengths);
        bytes.extend(packet);
        let mut checksum = Crc32::new(0);
        checksum.process_buf_bytes(&bytes);
        bytes[22..26].copy_from_slice(&checksum.crc().to_le_bytes());
        bytes
    }

    #[test]
    fn a_page_is_told_before_the_next_one_has_come() {
        /// Gives one page, and fails where more is asked for.
        struct Live(Cursor<Vec<u8>>);
        impl std::io::Read for Live {
            fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
                match self.0.read(out)? {
                    0 => panic!("more is read than there is"),
                    n => Ok(n),
                }
            }
        }
        let live = symphonia::core::io::ReadOnlySource::new(Live(Cursor::new(page(2, 960, 7, 0, &[9; 600]))));
        let mut pages = Pages::new(Window::new(MediaSourceStream::new(Box::new(live), Default::default())));
        assert_eq!(pages.next().unwrap().unwrap().granule, Some(960));
    }

    #[test]
    fn pages_are_found_between_bytes_that_are_none() {
        let (first, second) = (page(2, 0, 7, 0, b"head"), page(4, 960, 7, 1, &[9; 600]));
        let mut damaged = page(0, 480, 7, 1, &[1; 300]);
        damaged[100] ^= 1;
        let lost = (damaged.len() + 11) as u64;
        let bytes = [&first[..], b"OggS OggSxx", &damaged, &second, b"OggS\0"].concat();
        let mut pages = Pages::new(Window::new(MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default())));
        let head = pages.next().unwrap().unwrap();
        assert_eq!((head.is_first, head.lost, &head.packets[..]), (true, 0, &[b"head".to_vec()][..]));
        let last = pages.next().unwrap().unwrap();
        assert_eq!((last.is_last, last.lost, last.granule, last.goes_on), (true, lost, Some(960), false));
        assert_eq!((pages.next().unwrap(), pages.lost()), (None, 5));
    }
}
