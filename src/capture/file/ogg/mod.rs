//! Ogg: Vorbis, Opus and FLAC, one stream after the other.
//!
//! Each page states the position of its end, so that the sound behind a damaged page keeps its own time. A stream that begins
//! behind another one, as in a recorded radio station, gets a decoder of its own. symphonia's reader of Ogg tells positions a
//! page late after damage, and of a chain only the first stream.

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_FLAC, CODEC_ID_VORBIS};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::coder::{Coder, NoSound};
use super::opus::Head;
use super::sound::{Bytes, Piece, Refusal, Sound};
use super::window::Window;
use pages::{Page, Pages};

mod pages;

/// The most bytes of a packet; a cover in the comments is the longest that is good.
const LONGEST_PACKET: usize = 1 << 26;
/// The bytes at the end of a file in which the last page is looked for.
const TAIL: u64 = 1 << 17;

/// The sound of an Ogg file.
pub(super) struct Ogg {
    pages: Pages,
    link: Option<Link>,
    /// The position of the end of the last piece, in frames at the rate of the first link.
    end: u64,
    first_rate_hz: u32,
    /// The stream and the position of the file's last page.
    last: Option<(u32, u64)>,
    n_frames: Option<u64>,
    is_truncated: bool,
    /// Whether pages came whose stream's beginning is lost.
    has_orphans: bool,
    decoded: Vec<f32>,
}

/// One stream.
struct Link {
    serial: u32,
    codec: Codec,
    coder: Option<Coder>,
    /// The packet that is not yet whole.
    partial: Vec<u8>,
    sequence: Option<u32>,
    is_discontinuous: bool,
    /// The channels and the rate, from the first decoded packet on.
    format: Option<(usize, u32)>,
    /// The position that the last page stated.
    position: Option<u64>,
    /// The position of the first frame that is heard, and its place in the recording.
    origin: u64,
    base: u64,
    has_begun: bool,
}

/// The end of a page.
#[derive(Debug, Clone, Copy)]
struct End {
    /// The position that the page states.
    at: u64,
    /// Whether the stream ends here.
    is_last: bool,
}

/// The codec of a stream, with what its headers said so far.
enum Codec {
    Vorbis { headers: Vec<u8>, n: u8 },
    Opus { head: Head, has_comments: bool },
    Flac { has_audio: bool },
}

impl Ogg {
    /// Opens the file from its beginning.
    pub fn open(mut bytes: Bytes) -> Result<Self, Refusal> {
        let last = last_page(&mut bytes);
        let mut ogg = Self {
            pages: Pages::new(Window::new(bytes)),
            link: None,
            end: 0,
            first_rate_hz: 0,
            last,
            n_frames: None,
            is_truncated: false,
            has_orphans: false,
            decoded: Vec::new(),
        };
        let mut refused = Refusal::Broken("the file has no sound in it".to_owned());
        while ogg.link.is_none() {
            match ogg.pages.next().map_err(Refusal::Broken)? {
                Some(page) if page.is_first => match ogg.begin(&page) {
                    Ok(()) => {}
                    Err(refusal) => refused = refusal,
                },
                Some(_) => {}
                None => return Err(refused),
            }
        }
        Ok(ogg)
    }

    /// Begins the stream of this page, if it is one of sound.
    fn begin(&mut self, page: &Page) -> Result<(), Refusal> {
        let head = page.packets.first().map(Vec::as_slice).unwrap_or_default();
        let (codec, coder) = if head.starts_with(b"\x01vorbis") {
            (Codec::Vorbis { headers: head.to_vec(), n: 1 }, None)
        } else if let Some(head) = Head::parse(head) {
            let coder = Coder::opus(&head)?;
            (Codec::Opus { head, has_comments: false }, Some(coder))
        } else if let Some(info) = head.starts_with(b"\x7fFLAC").then(|| head.get(17..51)).flatten() {
            let mut parameters = AudioCodecParameters::new();
            parameters.for_codec(CODEC_ID_FLAC).with_extra_data(info.into());
            (Codec::Flac { has_audio: false }, Some(Coder::new(&parameters)?))
        } else if head.starts_with(b"Speex") {
            return Err(Refusal::Codec("Speex".to_owned()));
        } else {
            return Err(Refusal::Broken("the file has no sound in it".to_owned()));
        };
        self.link = Some(Link {
            serial: page.serial,
            codec,
            coder,
            partial: Vec::new(),
            sequence: Some(page.sequence),
            is_discontinuous: false,
            format: None,
            position: None,
            origin: 0,
            base: self.end,
            has_begun: false,
        });
        Ok(())
    }

    /// Takes a page, and leaves in `out` the samples of its packets; the piece is `None` where there are none.
    fn take(&mut self, page: Page, out: &mut Vec<f32>) -> Result<Option<Piece>, String> {
        let Some(link) = &mut self.link else { return Ok(None) };
        let follows = link.sequence.is_none_or(|before| page.sequence == before.wrapping_add(1));
        link.sequence = Some(page.sequence);
        link.has_begun = true;
        if !follows || page.lost > 0 {
            link.partial.clear();
            link.interrupt();
        }
        let n_packets = page.packets.len();
        for (n, part) in page.packets.into_iter().enumerate() {
            if n == 0 && page.is_continued && link.partial.is_empty() {
                // Its beginning is lost.
                link.interrupt();
                continue;
            }
            if n == 0 && !page.is_continued {
                link.partial.clear();
            }
            if link.partial.len() + part.len() > LONGEST_PACKET {
                return Err("the file is damaged (a packet does not end)".to_owned());
            }
            link.partial.extend(part);
            if n + 1 < n_packets || !page.goes_on {
                let packet = std::mem::take(&mut link.partial);
                link.packet(packet, &mut self.decoded, out)?;
            }
        }
        let Some((channels, rate_hz)) = link.format.filter(|_| !out.is_empty()) else { return Ok(None) };
        let frames = (out.len() / channels) as u64;
        let end = page.granule.map(|at| End { at, is_last: page.is_last });
        let at = end.map(|end| link.place(end, frames, channels, out));
        if self.first_rate_hz == 0 {
            self.first_rate_hz = rate_hz;
            let length = self.last.filter(|(serial, _)| *serial == link.serial).map(|(_, end)| end.saturating_sub(link.origin));
            self.n_frames = length;
        }
        let at = at.filter(|_| rate_hz == self.first_rate_hz);
        let heard = (out.len() / channels) as u64 * u64::from(self.first_rate_hz) / u64::from(rate_hz.max(1));
        self.end = at.unwrap_or(self.end) + heard;
        Ok(Some(Piece { at, channels, rate_hz }))
    }
}

impl Link {
    /// The sound that follows does not join on to the sound before.
    fn interrupt(&mut self) {
        self.is_discontinuous = true;
        if let Some(coder) = &mut self.coder {
            coder.reset();
        }
    }

    /// Takes a packet: a header, or sound that is appended to `out`.
    fn packet(&mut self, packet: Vec<u8>, decoded: &mut Vec<f32>, out: &mut Vec<f32>) -> Result<(), String> {
        match &mut self.codec {
            Codec::Vorbis { headers, n } if *n < 3 => {
                *n += 1;
                if packet.starts_with(b"\x05vorbis") {
                    *n = 3;
                    headers.extend(packet);
                    let mut parameters = AudioCodecParameters::new();
                    parameters.for_codec(CODEC_ID_VORBIS).with_extra_data(std::mem::take(headers).into());
                    let coder = Coder::new(&parameters);
                    self.coder = Some(coder.map_err(|refusal| refusal.to_string())?);
                }
                return Ok(());
            }
            Codec::Opus { has_comments, .. } if !*has_comments => {
                *has_comments = true;
                if packet.starts_with(b"OpusTags") {
                    return Ok(());
                }
            }
            Codec::Flac { has_audio } if !*has_audio => {
                *has_audio = packet.first() == Some(&0xff);
                if !*has_audio {
                    return Ok(());
                }
            }
            _ => {}
        }
        let Some(coder) = &mut self.coder else { return Ok(()) };
        match coder.decode(&Packet::new(0, Timestamp::ZERO, Duration::ZERO, packet), decoded) {
            Ok((channels, rate_hz)) if channels > 0 => {
                if !decoded.is_empty() {
                    self.format = Some((channels, rate_hz));
                }
                out.extend_from_slice(decoded);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(NoSound::Damaged) => {
                self.interrupt();
                Ok(())
            }
            Err(NoSound::Broken(sentence)) => Err(sentence),
        }
    }

    /// The place in the recording of the frames that end at a position, which cuts those that are not to be heard.
    fn place(&mut self, End { at: end, is_last }: End, frames: u64, channels: usize, out: &mut Vec<f32>) -> u64 {
        let pre_skip = if let Codec::Opus { head, .. } = &self.codec { head.pre_skip } else { 0 };
        let start = match self.position {
            // The frames beyond the end of the last page are padding.
            Some(before) if is_last && !self.is_discontinuous && before + frames > end => {
                out.truncate(end.saturating_sub(before) as usize * channels);
                before
            }
            // Encoders are not exact about positions within a stream; packets that follow each other do so in time.
            Some(before) if !self.is_discontinuous && end <= before + frames => before,
            Some(_) => end.saturating_sub(frames),
            None if is_last => {
                out.truncate(end as usize * channels);
                0
            }
            None => {
                // Frames before 0 are the codec's own beginning. A stream that was recorded from its middle begins later.
                let early = frames.saturating_sub(end).min(frames);
                out.drain(..early as usize * channels);
                end.saturating_sub(frames)
            }
        };
        if self.position.is_none() {
            self.origin = start + pre_skip;
        }
        self.is_discontinuous = false;
        self.position = Some(end);
        let early = self.origin.saturating_sub(start).min((out.len() / channels) as u64);
        out.drain(..early as usize * channels);
        self.base + (start + early).saturating_sub(self.origin)
    }
}

impl Sound for Ogg {
    fn next(&mut self, out: &mut Vec<f32>) -> Result<Option<Piece>, String> {
        out.clear();
        while let Some(page) = self.pages.next()? {
            let serial = self.link.as_ref().map(|link| (link.serial, link.has_begun));
            match serial {
                // The streams that begin together are a film's; one that begins later takes the place of the one before.
                Some((_, true)) | None if page.is_first => {
                    self.link = None;
                    // A stream of something else is passed over.
                    let _ = self.begin(&page);
                }
                Some((serial, _)) if serial == page.serial => {
                    if let Some(piece) = self.take(page, out)? {
                        return Ok(Some(piece));
                    }
                }
                _ => self.has_orphans |= page.lost > 0 && !page.is_first,
            }
        }
        let partial = self.link.as_ref().is_some_and(|link| !link.partial.is_empty());
        let missing = self.n_frames.is_some_and(|stated| self.end + 4_096 < stated);
        self.is_truncated = self.pages.lost() > 0 || partial || missing;
        Ok(None)
    }

    fn n_frames(&self) -> Option<u64> {
        self.n_frames
    }

    fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    fn remarks(&self) -> Vec<String> {
        let orphans = "a stream in it has lost its beginning to damage, and was not heard".to_owned();
        self.has_orphans.then_some(orphans).into_iter().collect()
    }
}

/// The stream and the position of the last page, where the file can be searched from its end; it stands at its beginning then.
fn last_page(bytes: &mut Bytes) -> Option<(u32, u64)> {
    use std::io::{Seek, SeekFrom};

    use symphonia::core::io::{MediaSource, ReadBytes};

    let begin = bytes.pos();
    let length = bytes.byte_len().filter(|_| bytes.is_seekable())?;
    let mut search = || {
        bytes.seek(SeekFrom::Start(length.saturating_sub(TAIL).max(begin))).ok()?;
        let mut tail = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(&mut *bytes, TAIL), &mut tail).ok()?;
        let starts = (0..tail.len().saturating_sub(4)).rev().filter(|at| tail[*at..].starts_with(b"OggS"));
        starts.filter_map(|at| pages::parse(&tail[at..])).find_map(|(page, _)| Some((page.serial, page.granule?)))
    };
    let found = search();
    bytes.seek(SeekFrom::Start(begin)).ok()?;
    found
}

#[cfg(test)]
mod tests;
