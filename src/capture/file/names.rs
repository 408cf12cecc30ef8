//! The names of formats and codecs that are not decoded here, so that a refusal can say which one it is.

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AC3, CODEC_ID_AC4, CODEC_ID_ATRAC1, CODEC_ID_ATRAC3, CODEC_ID_DCA, CODEC_ID_EAC3, CODEC_ID_MONKEYS_AUDIO,
    CODEC_ID_MUSEPACK, CODEC_ID_SPEEX, CODEC_ID_TTA, CODEC_ID_WAVPACK, CODEC_ID_WMA,
};

/// The name of the format that begins with these bytes; `None` for one that is read here, or that nobody knows.
pub(super) fn format(magic: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 18] = [
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (WMA)"),
        (b"#!AMR-WB", "AMR-WB"),
        (b"#!AMR", "AMR"),
        (b"\x0b\x77", "AC-3"),
        (b"\x7f\xfe\x80\x01", "DTS"),
        (b".RMF", "RealMedia"),
        (b".snd", "AU"),
        (b"2BIT", "AVR"),
        (b"wvpk", "WavPack"),
        (b"MAC ", "Monkey's Audio"),
        (b"MP+", "Musepack"),
        (b"MPCK", "Musepack"),
        (b"TTA1", "True Audio"),
        (b"DSD ", "DSD"),
        (b"FRM8", "DSD"),
        (b"FLV\x01", "Flash video"),
        (b"Creative Voice File", "Creative Voice"),
        (b"\x00\x00\x01\xba", "MPEG program stream"),
    ];
    let by_beginning = KNOWN.iter().find(|(beginning, _)| magic.starts_with(beginning)).map(|(_, name)| *name);
    by_beginning.or(match (magic.get(..4), magic.get(8..12)) {
        (Some(b"RIFF"), Some(b"AVI ")) => Some("AVI"),
        (Some(b"RIFX"), Some(b"WAVE")) => Some("big-endian WAV (RIFX)"),
        _ => None,
    })
}

/// The name of a codec inside a container that is read here.
pub(super) fn codec(id: AudioCodecId) -> &'static str {
    match id {
        CODEC_ID_AC3 | CODEC_ID_EAC3 => "AC-3",
        CODEC_ID_AC4 => "AC-4",
        CODEC_ID_ATRAC1 | CODEC_ID_ATRAC3 => "ATRAC",
        CODEC_ID_DCA => "DTS",
        CODEC_ID_MONKEYS_AUDIO => "Monkey's Audio",
        CODEC_ID_MUSEPACK => "Musepack",
        CODEC_ID_SPEEX => "Speex",
        CODEC_ID_TTA => "True Audio",
        CODEC_ID_WAVPACK => "WavPack",
        CODEC_ID_WMA => "Windows Media Audio",
        _ => "coded in a way that is not known here",
    }
}
