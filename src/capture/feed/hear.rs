//! Decodes the bytes of a feed: a container that knows its own format by its first bytes, or else raw PCM.

use std::io::{self, Read};
use std::path::Path;

use super::Inlet;
use super::raw::RawDecoder;
use crate::capture::CaptureError;
use crate::capture::file::{Decoder, Status};
use crate::capture::source::{Channel, Coding, Pcm, SourceConfig};

/// The bytes by which a container is told from raw PCM.
const MAGIC_BYTES: usize = 4;

/// The sound that is made of the bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::capture) struct Wanted {
    /// The channels that are heard.
    pub channel: Channel,
    /// The gain in dB.
    pub gain_db: f32,
}

impl From<&SourceConfig> for Wanted {
    fn from(config: &SourceConfig) -> Self {
        Self { channel: config.channel, gain_db: config.gain_db }
    }
}

/// Hears bytes to their end.
///
/// # Errors
/// One sentence that says why they are heard no further.
pub(in crate::capture) fn bytes(
    name: &str,
    mut input: impl Read + Send + Sync + 'static,
    coding: Coding,
    wanted: Wanted,
    inlet: &mut Inlet,
) -> Result<(), String> {
    let pcm = match coding {
        Coding::Container => return container(name, input, wanted, inlet),
        Coding::Raw(pcm) => {
            inlet.expect(pcm.rate_hz);
            return raw(name, &mut input, pcm, wanted, inlet);
        }
        Coding::Auto(pcm) => pcm,
    };
    inlet.expect(pcm.rate_hz);
    let mut magic = Vec::new();
    let unreadable = |error: io::Error| format!("{name} cannot be read: {error}");
    (&mut input).take(MAGIC_BYTES as u64).read_to_end(&mut magic).map_err(unreadable)?;
    let is_container = [b"RIFF", b"RF64", b"BW64", b"OggS", b"fLaC"].iter().any(|known| magic.starts_with(*known));
    let mut input = io::Cursor::new(magic).chain(input);
    if is_container { container(name, input, wanted, inlet) } else { raw(name, &mut input, pcm, wanted, inlet) }
}

/// Hears raw PCM.
fn raw(name: &str, input: &mut impl Read, pcm: Pcm, wanted: Wanted, inlet: &mut Inlet) -> Result<(), String> {
    let mut decoder = RawDecoder::new(pcm, wanted.channel, wanted.gain_db)?;
    let (mut bytes, mut samples) = (Vec::new(), Vec::new());
    loop {
        match decoder.read(input, &mut bytes, &mut samples) {
            Ok(None) => return Ok(()),
            Ok(Some(decoded)) => decoded?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("{name} cannot be read: {error}")),
        }
        inlet.put(&samples, pcm.rate_hz)?;
    }
}

/// Hears a container.
fn container(name: &str, input: impl Read + Send + Sync + 'static, wanted: Wanted, inlet: &mut Inlet) -> Result<(), String> {
    let sentence = |error: CaptureError| error.to_string();
    let mut decoder = Decoder::open_stream(Box::new(input), Path::new(name), wanted.channel, wanted.gain_db).map_err(sentence)?;
    let mut samples = Vec::new();
    loop {
        samples.clear();
        let status = decoder.read(&mut samples).map_err(sentence)?;
        inlet.put(&samples, decoder.rate_hz())?;
        if status == Status::End {
            return Ok(());
        }
    }
}
