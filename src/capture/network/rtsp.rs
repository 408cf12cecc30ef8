//! `rtsp://` and `rtsps://`: cameras. Only the sound is asked for, over the connection's own TCP.
//!
//! The camera's clock is not trusted: its stamps only tell how much is missing where packets were lost, and the arrival of the
//! sound tells the rest.

use std::future::poll_fn;
use std::num::NonZeroU16;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream as _;
use retina::client::{
    Credentials, Demuxed, InitialTimestampPolicy, PacketItem, PlayOptions, Playing, Session, SessionGroup, SessionOptions,
    SetupOptions, Stream, TcpTransportOptions, Transport, UnassignedChannelDataPolicy,
};
use retina::codec::{CodecItem, ParametersRef};
use symphonia::core::audio::{Channels, layouts};
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_OPUS, CODEC_ID_PCM_ALAW, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S16BE, CODEC_ID_PCM_U8,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};
use symphonia::core::packet::Packet;
use symphonia::core::units;
use url::Url;

use super::address::{Address, Login};
use super::task::{Task, Unfinished};
use super::{manner, relay, tls};
use crate::capture::CaptureError;
use crate::capture::feed::hear::Wanted;
use crate::capture::feed::{Feed, Inlet, Stopper};
use crate::capture::file::{Coder, Mixer, NoSound};
use crate::capture::source::SourceConfig;
use crate::text::{visible, without_passwords};

/// The sound in seconds that a camera may send at once.
const BURST_S: u32 = 2;
/// The longest sound that lost packets are believed to have held, in seconds.
const LONGEST_LOSS_S: u32 = 2;
/// The channels of Opus over RTP.
const OPUS_CHANNELS: NonZeroU16 = NonZeroU16::new(2).unwrap();
/// The time that a camera has to answer that the session ends.
const LEAVING: Duration = Duration::from_millis(300);

/// Hears the camera at this address.
pub(in crate::capture) fn open(config: &SourceConfig, address: &Address) -> Result<Feed, CaptureError> {
    let (config, address) = (config.clone(), address.clone());
    Feed::start(&config.name.clone(), manner(BURST_S, false), move |inlet, stopper| hear(&config, &address, inlet, stopper))
}

fn hear(config: &SourceConfig, address: &Address, inlet: &mut Inlet, stopper: Stopper) -> Result<(), String> {
    let login = address.login(config)?;
    let task = Task::new(stopper)?;
    let _entered = task.enter();
    let camera = Camera { config, address, login, task: &task };
    let way = if address.is_encrypted() { Way::Relayed } else { Way::Direct };
    match camera.hear(way, inlet) {
        // Some relays in the network pass packets on in the order in which they came.
        Err(Failure::Disorder) => camera.hear(Way::Relayed, inlet).map_err(|failure| failure.sentence()),
        heard => heard.map_err(|failure| failure.sentence()),
    }
}

/// The way to a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Direct,
    /// Through a relay of our own, which encrypts and puts packets into order.
    Relayed,
}

/// The reason why a camera is heard no longer.
enum Failure {
    /// A packet came after a later one.
    Disorder,
    Told(String),
}

impl Failure {
    fn sentence(self) -> String {
        match self {
            Failure::Disorder => "the camera's packets come in no order".to_owned(),
            Failure::Told(sentence) => sentence,
        }
    }
}

impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Self::Told(sentence)
    }
}

/// A camera, and whatever is needed to reach it.
struct Camera<'a> {
    config: &'a SourceConfig,
    address: &'a Address,
    login: Option<Login>,
    task: &'a Task,
}

impl Camera<'_> {
    fn hear(&self, way: Way, inlet: &mut Inlet) -> Result<(), Failure> {
        let group = Arc::new(SessionGroup::default());
        let creds =
            self.login.as_ref().map(|login| Credentials { username: login.user.clone(), password: login.password.clone() });
        let options = SessionOptions::default()
            .creds(creds)
            .user_agent(super::USER_AGENT.to_owned())
            .session_group(group.clone())
            .unassigned_channel_data(UnassignedChannelDataPolicy::Ignore);
        let heard = self.follow(way, options, inlet);
        // A camera that is not told keeps the session for a minute, and may have few.
        self.task.take_leave(
            async {
                let _ = group.await_teardown().await;
            },
            LEAVING,
        );
        heard
    }

    fn follow(&self, way: Way, options: SessionOptions, inlet: &mut Inlet) -> Result<(), Failure> {
        let task = self.task;
        let late = |unfinished: Unfinished| unfinished.sentence("the camera");
        let told = |error: retina::Error| failure(&error, self.address, self.login.is_some());
        let wanted = Wanted::from(self.config);
        let url = self.url(way)?;
        let mut session = task.ask(Session::describe(url, options)).map_err(late)?.map_err(told)?;
        let (index, mut sound) = choose(session.streams(), wanted)?;
        let transport = Transport::Tcp(TcpTransportOptions::default());
        task.ask(session.setup(index, SetupOptions::default().transport(transport))).map_err(late)?.map_err(told)?;
        let play = PlayOptions::default().initial_timestamp(InitialTimestampPolicy::Permissive);
        let session = task.ask(session.play(play)).map_err(late)?.map_err(told)?;
        let mut frames = match sound.codec {
            CODEC_ID_OPUS => Frames::Packets(Box::new(session)),
            _ => Frames::Unpacked(Box::new(session.demuxed().map_err(told)?)),
        };
        loop {
            match task.run(poll_fn(|context| frames.poll_next(context))).map_err(late)? {
                None => return Err("the camera ended the stream".to_owned().into()),
                Some(Err(error)) => return Err(told(error)),
                Some(Ok(Some(frame))) => sound.take(frame, inlet)?,
                Some(Ok(None)) => {}
            }
        }
    }

    /// The address at which the library finds it.
    fn url(&self, way: Way) -> Result<Url, String> {
        let mut url = self.address.url();
        if way == Way::Direct {
            return Ok(url);
        }
        let (host, port) = (self.address.host(), self.address.port());
        let opening = self.task.ask(async {
            if self.address.is_encrypted() {
                relay::start(self.task, tls::connect(host, port, self.config.ca_file.as_deref()).await?).await
            } else {
                relay::start(self.task, tls::dial(host, port).await?).await
            }
        });
        let port = opening.map_err(|unfinished| unfinished.sentence("the camera"))??;
        let is_set =
            url.set_scheme("rtsp").is_ok() && url.set_host(Some("127.0.0.1")).is_ok() && url.set_port(Some(port)).is_ok();
        if is_set { Ok(url) } else { Err("its address cannot be relayed".to_owned()) }
    }
}

/// A frame of coded sound.
struct Frame {
    /// The stamp of its first sample.
    stamp: i64,
    /// Its length in the units of the stamp; `None` where only its decoder knows.
    length: Option<u32>,
    /// The number of packets that were lost before it.
    lost: u16,
    data: Vec<u8>,
}

/// The frames of a playing session.
enum Frames {
    /// The library takes them out of the packets.
    Unpacked(Box<Demuxed>),
    /// A packet is a frame, as with Opus (RFC 7587), which the library knows no unpacking for.
    Packets(Box<Session<Playing>>),
}

impl Frames {
    /// The next item, which may be no frame.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Option<Frame>, retina::Error>>> {
        match self {
            Self::Unpacked(frames) => Pin::new(&mut **frames).poll_next(context).map_ok(|item| match item {
                CodecItem::AudioFrame(frame) => Some(Frame {
                    stamp: frame.timestamp().timestamp(),
                    length: Some(frame.frame_length().get()),
                    lost: frame.loss(),
                    data: frame.data().to_vec(),
                }),
                _ => None,
            }),
            Self::Packets(session) => Pin::new(&mut **session).poll_next(context).map_ok(|item| match item {
                PacketItem::Rtp(packet) => Some(Frame {
                    stamp: packet.timestamp().timestamp(),
                    length: None,
                    lost: packet.loss(),
                    data: packet.payload().to_vec(),
                }),
                _ => None,
            }),
        }
    }
}

/// The sound of a track.
struct Sound {
    codec: AudioCodecId,
    coder: Coder,
    mixer: Mixer,
    rate_hz: u32,
    interleaved: Vec<f32>,
    samples: Vec<f32>,
    /// The stamp at which the next frame is expected.
    next: Option<i64>,
}

impl Sound {
    /// Decodes a frame. Lost ones before it are silence.
    fn take(&mut self, frame: Frame, inlet: &mut Inlet) -> Result<(), String> {
        let Frame { stamp, length, lost, data } = frame;
        self.samples.clear();
        if let Some(next) = self.next.filter(|_| lost > 0) {
            let missing = u32::try_from(stamp.saturating_sub(next)).unwrap_or(0);
            if missing <= LONGEST_LOSS_S * self.rate_hz {
                self.samples.resize(missing as usize, 0.0);
            }
            self.coder.reset();
        }
        let packet = Packet::new(0, units::Timestamp::new(0), units::Duration::from(u64::from(length.unwrap_or(0))), data);
        let length = match self.coder.decode(&packet, &mut self.interleaved) {
            Ok((channels, rate_hz)) => {
                // The header of the track and its frames differ with some encoders of AAC; the frames are right.
                self.rate_hz = rate_hz;
                if let Some(wanted) = self.mixer.missing(channels) {
                    return Err(no_channel(wanted, channels));
                }
                self.mixer.mix(&self.interleaved, channels, &mut self.samples);
                length.unwrap_or((self.interleaved.len() / channels) as u32)
            }
            Err(NoSound::Damaged) => {
                let length = length.unwrap_or(0);
                self.samples.resize(self.samples.len() + length as usize, 0.0);
                length
            }
            Err(NoSound::Broken(sentence)) => return Err(sentence),
        };
        self.next = Some(stamp.saturating_add(length.into()));
        Ok(inlet.put(&self.samples, self.rate_hz)?)
    }
}

fn no_channel(wanted: u16, available: usize) -> String {
    format!(
        "channel {wanted} was asked for, but the camera's sound has {available}; set channel to \"mix\" or to a number up to that"
    )
}

/// The track of sound that can be decoded.
fn choose(streams: &[Stream], wanted: Wanted) -> Result<(usize, Sound), String> {
    let mut others = Vec::new();
    let mut unknown = Vec::new();
    for (index, stream) in streams.iter().enumerate() {
        if stream.media() != "audio" {
            others.push(shown(stream.encoding_name()));
            continue;
        }
        let rate_hz = stream.clock_rate_hz();
        let (codec, n_channels, header) = match (codec(stream.encoding_name()), stream.parameters()) {
            (Some(CODEC_ID_AAC), Some(ParametersRef::Audio(audio))) => {
                (CODEC_ID_AAC, audio.channels(), Some(audio.extra_data().to_vec()))
            }
            // RFC 7587: Opus has two channels in every stream, whatever its packets have.
            (Some(CODEC_ID_OPUS), _) => (CODEC_ID_OPUS, OPUS_CHANNELS, Some(opus_head())),
            (Some(codec), _) if codec != CODEC_ID_AAC => (codec, stream.channels().unwrap_or(NonZeroU16::MIN), None),
            _ => {
                unknown.push(shown(stream.encoding_name()));
                continue;
            }
        };
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(codec).with_sample_rate(rate_hz).with_channels(match n_channels.get() {
            1 => layouts::CHANNEL_LAYOUT_MONO,
            2 => layouts::CHANNEL_LAYOUT_STEREO,
            more => Channels::Discrete(more),
        });
        parameters.with_max_frames_per_packet(1 << 16).with_frames_per_block(1);
        if let Some(header) = header {
            parameters.with_extra_data(header.into_boxed_slice());
        }
        let mixer = Mixer::new(wanted.channel, wanted.gain_db);
        if let Some(wanted) = mixer.missing(n_channels.get().into()) {
            return Err(no_channel(wanted, n_channels.get().into()));
        }
        let coder = Coder::new(&parameters).map_err(|refusal| refusal.to_string())?;
        let sound = Sound { codec, coder, mixer, rate_hz, interleaved: Vec::new(), samples: Vec::new(), next: None };
        return Ok((index, sound));
    }
    Err(match (unknown.is_empty(), others.is_empty()) {
        (false, _) => format!(
            "its sound is {}, which is not known here; choose AAC, Opus or G.711 in the camera's settings",
            unknown.join(" and ")
        ),
        (true, false) => format!("no audio track: the stream has only {}; turn the camera's microphone on", others.join(" and ")),
        (true, true) => "no audio track: the stream has none at all".to_owned(),
    })
}

/// The head of a stream of Opus with two channels, which RTP leaves out (RFC 7845, section 5.1).
fn opus_head() -> Vec<u8> {
    let channels = OPUS_CHANNELS.get() as u8;
    [&b"OpusHead"[..], &[1, channels, 0, 0], &48_000_u32.to_le_bytes(), &[0, 0, 0]].concat()
}

fn codec(encoding: &str) -> Option<AudioCodecId> {
    match encoding {
        "mpeg4-generic" => Some(CODEC_ID_AAC),
        "pcmu" => Some(CODEC_ID_PCM_MULAW),
        "pcma" => Some(CODEC_ID_PCM_ALAW),
        "opus" => Some(CODEC_ID_OPUS),
        "l16" => Some(CODEC_ID_PCM_S16BE),
        "u8" | "l8" => Some(CODEC_ID_PCM_U8),
        _ => None,
    }
}

/// The common name of an encoding.
fn shown(encoding: &str) -> String {
    match encoding {
        "h264" => "H.264".to_owned(),
        "h265" => "H.265".to_owned(),
        "mpeg4-generic" => "AAC in a form that is not known".to_owned(),
        "mp4a-latm" => "AAC in LATM".to_owned(),
        other => visible(&other.to_uppercase()),
    }
}

fn failure(error: &retina::Error, address: &Address, has_login: bool) -> Failure {
    // The library has no other sign of it.
    match error.to_string().contains("Out-of-order packet") {
        true => Failure::Disorder,
        false => Failure::Told(sentence(error, address, has_login)),
    }
}

/// A failure as a sentence.
fn sentence(error: &retina::Error, address: &Address, has_login: bool) -> String {
    match error.status_code() {
        Some(401 | 403) if has_login => return "the camera refused the password".to_owned(),
        Some(401 | 403) => return "the camera asks for a password, which its address does not have".to_owned(),
        Some(404) => return "the camera has no stream at this address (404)".to_owned(),
        Some(453 | 503) => return "the camera has no room for another listener".to_owned(),
        _ => {}
    }
    let text = error.to_string();
    let line = without_passwords(&visible(text.lines().next().unwrap_or_default().trim_end_matches([':', ' ', '.'])));
    match line.strip_prefix("Unable to connect to RTSP server: ") {
        Some(why) => format!("no connection to {}: {}", address.host(), why.split(" (os error").next().unwrap_or(why)),
        None => format!("the connection to the camera broke ({line})"),
    }
}
