//! Files of sound, piece by piece: FLAC, and WAV. One channel of 16 bits. The header is written again at the end, when all is known.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr, Stream, StreamInfo};
use flacenc::config::Encoder as FlacConfig;
use flacenc::encode_fixed_size_frame;
use flacenc::error::{Verified, Verify};
use flacenc::source::{Context, Fill, FrameBuf};

use crate::publish::settings::ClipFormat;

/// The samples of a frame of FLAC.
const BLOCK: usize = 4_096;
/// The length of a header of WAV.
const WAV_HEADER: u32 = 44;

/// The form that a source's sound can have: FLAC has no rates beyond that of the encoder.
pub fn suited(format: ClipFormat, rate_hz: u32) -> ClipFormat {
    match format {
        ClipFormat::Flac if StreamInfo::new(rate_hz as usize, 1, 16).is_err() => ClipFormat::Wav,
        format => format,
    }
}

/// A file that is being written.
#[derive(Debug)]
pub struct Encoder {
    file: File,
    kind: Kind,
}

enum Kind {
    Wav { rate_hz: u32, samples: u32 },
    Flac(Box<Flac>),
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Kind::Wav { .. } => "Wav",
            Kind::Flac(_) => "Flac",
        })
    }
}

struct Flac {
    config: Verified<FlacConfig>,
    info: StreamInfo,
    context: Context,
    block: FrameBuf,
    /// The samples of a block that is not full.
    rest: Vec<i32>,
}

fn wrong(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("the sound cannot be encoded: {error}"))
}

impl Encoder {
    /// Begins a file.
    pub fn begin(file: File, format: ClipFormat, rate_hz: u32) -> io::Result<Self> {
        let kind = match format {
            ClipFormat::Wav => Kind::Wav { rate_hz, samples: 0 },
            ClipFormat::Flac => {
                let config = FlacConfig::default().into_verified().map_err(|(_, error)| wrong(error))?;
                let info = StreamInfo::new(rate_hz as usize, 1, 16).map_err(wrong)?;
                let block = FrameBuf::with_size(1, BLOCK).map_err(wrong)?;
                Kind::Flac(Box::new(Flac { config, info, context: Context::new(16, 1), block, rest: Vec::with_capacity(BLOCK) }))
            }
        };
        let mut encoder = Self { file, kind };
        let header = encoder.header()?;
        encoder.file.write_all(&header)?;
        Ok(encoder)
    }

    /// Appends samples.
    pub fn push(&mut self, mut samples: &[i16]) -> io::Result<()> {
        match &mut self.kind {
            Kind::Wav { samples: n, .. } => {
                let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                *n += samples.len() as u32;
                self.file.write_all(&bytes)
            }
            Kind::Flac(flac) => {
                while !samples.is_empty() {
                    let (now, later) = samples.split_at(samples.len().min(BLOCK - flac.rest.len()));
                    flac.rest.extend(now.iter().map(|sample| i32::from(*sample)));
                    samples = later;
                    if flac.rest.len() == BLOCK {
                        flac.write_block(&mut self.file)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Ends the file, and returns its size.
    pub fn finish(mut self) -> io::Result<u64> {
        if let Kind::Flac(flac) = &mut self.kind {
            if !flac.rest.is_empty() {
                flac.write_block(&mut self.file)?;
            }
            flac.info.set_md5_digest(&flac.context.md5_digest());
            flac.info.set_total_samples(flac.context.total_samples());
            // The last block may be shorter than the others.
            flac.info.set_block_sizes(BLOCK, BLOCK).map_err(wrong)?;
        }
        let header = self.header()?;
        let bytes = self.file.stream_position()?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)?;
        self.file.sync_all()?;
        Ok(bytes)
    }

    fn header(&self) -> io::Result<Vec<u8>> {
        match &self.kind {
            Kind::Wav { rate_hz, samples } => {
                let data = samples * 2;
                let mut bytes = Vec::with_capacity(WAV_HEADER as usize);
                bytes.extend(b"RIFF");
                bytes.extend((WAV_HEADER - 8 + data).to_le_bytes());
                bytes.extend(b"WAVEfmt ");
                bytes.extend(16_u32.to_le_bytes());
                bytes.extend(1_u16.to_le_bytes());
                bytes.extend(1_u16.to_le_bytes());
                bytes.extend(rate_hz.to_le_bytes());
                bytes.extend((rate_hz * 2).to_le_bytes());
                bytes.extend(2_u16.to_le_bytes());
                bytes.extend(16_u16.to_le_bytes());
                bytes.extend(b"data");
                bytes.extend(data.to_le_bytes());
                Ok(bytes)
            }
            Kind::Flac(flac) => {
                let mut sink = ByteSink::new();
                Stream::with_stream_info(flac.info.clone()).write(&mut sink).map_err(wrong)?;
                Ok(sink.as_slice().to_vec())
            }
        }
    }
}

impl Flac {
    fn write_block(&mut self, file: &mut File) -> io::Result<()> {
        self.block.fill_interleaved(&self.rest).map_err(wrong)?;
        self.context.fill_interleaved(&self.rest).map_err(wrong)?;
        self.rest.clear();
        let number = self.context.current_frame_number().unwrap_or(0);
        let frame = encode_fixed_size_frame(&self.config, &self.block, number, &self.info).map_err(wrong)?;
        let mut sink = ByteSink::new();
        frame.write(&mut sink).map_err(wrong)?;
        self.info.update_frame_info(&frame);
        file.write_all(sink.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    use crate::capture::file::{Decoder, Status};
    use crate::capture::source::Channel;

    /// The rate and the samples of a file.
    fn decoded(path: &Path) -> (u32, Vec<i16>) {
        let (mut decoder, mut samples) = (Decoder::open_alone(path, Channel::Mix, 0.0).unwrap(), Vec::new());
        while decoder.read(&mut samples).unwrap() == Status::More {}
        (decoder.rate_hz(), samples.iter().map(|sample| (sample * 32_768.0).round() as i16).collect())
    }

    #[test]
    fn whatever_was_pushed_is_decoded_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut random = fastrand::Rng::with_seed(3);
        for (rate_hz, n) in
            [(48_000, 100_001), (44_100, 4_096), (8_000, 4_099), (16_000, 5), (48_000, 1), (96_000, 40_000), (192_000, 9_000)]
        {
            let loud = random.i32(1..32_768) as f32;
            let samples: Vec<i16> = (0..n).map(|at| ((at as f32 * 0.05).sin() * loud * random.f32()) as i16).collect();
            for format in [ClipFormat::Flac, ClipFormat::Wav] {
                let format = suited(format, rate_hz);
                let path = folder.path().join(format!("a.{rate_hz}"));
                let mut encoder = Encoder::begin(File::create(&path).unwrap(), format, rate_hz).unwrap();
                for piece in samples.chunks(random.usize(1..9_000)) {
                    encoder.push(piece).unwrap();
                }
                assert_eq!(encoder.finish().unwrap(), std::fs::metadata(&path).unwrap().len());
                assert!(decoded(&path) == (rate_hz, samples.clone()), "{format:?} {rate_hz} {n}");
            }
        }
        assert_eq!([48_000, 768_000].map(|rate_hz| suited(ClipFormat::Flac, rate_hz)), [ClipFormat::Flac, ClipFormat::Wav]);
    }
}
