//! Capture devices: the only file that names cpal.
//!
//! The hosts are asked in this order: PipeWire (where it was built in), PulseAudio, ALSA. Every call that may hang is made on a
//! thread of its own, which is waited for a few seconds.

use std::fs::OpenOptions;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, ErrorKind, FromSample, HostId, InputCallbackInfo, SampleFormat, SizedSample, StreamConfig, SupportedBufferSize,
    SupportedStreamConfig,
};
use crossbeam_channel::{Sender, bounded};

use super::callback::Callback;
use super::{Capture, CaptureError, Notice, Pace, RING_S, spawn};
use crate::capture::source::Channel;
use crate::resample::{MAX_RATE_HZ, MIN_RATE_HZ, check_rate};
use crate::ring::{Reader, ring};
use crate::text::nearest;

/// The time that a host or a device has to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The length of sound that is asked for at a time, in seconds: by default a sound server may deliver two seconds at once.
const FRAGMENT_S: f64 = 0.1;

/// A capture device, as `mimid devices` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The stable id that `--source` takes.
    pub id: String,
    /// The display name.
    pub name: String,
    /// The sound system, cpal's host, that it belongs to.
    pub host: String,
    /// Whether it is the default of its host.
    pub is_default: bool,
    /// The rate at which it is opened, in Hz.
    pub rate_hz: u32,
    /// The number of channels with which it is opened.
    pub channels: u16,
    /// The sample formats that it offers.
    pub formats: Vec<String>,
}

/// The hosts in the order in which they are asked.
fn hosts() -> Vec<HostId> {
    let rank = |host: &HostId| match host.name().to_lowercase().as_str() {
        "pipewire" => 0,
        "pulseaudio" => 1,
        _ => 2,
    };
    let mut hosts: Vec<HostId> = cpal::ALL_HOSTS.to_vec();
    hosts.sort_by_key(rank);
    hosts
}

/// All capture devices of all hosts that answer, and a sentence for each sound server that refuses.
pub fn devices() -> Result<(Vec<DeviceInfo>, Vec<String>), CaptureError> {
    on_a_thread("devices", || {
        let (mut found, mut refused) = (Vec::new(), Vec::new());
        for id in hosts() {
            let _quiet = Quiet::around(id);
            let Some(host) = reach(id, &mut refused) else { continue };
            let default = host.default_input_device().and_then(|device| device.id().ok());
            let Ok(devices) = host.devices() else { continue };
            for device in devices.filter(|device| device.supports_input()) {
                let Ok(device_id) = device.id() else { continue };
                // ALSA also lists plug-ins from which nothing can be captured, and one that delivers nothing.
                let Ok(config) = device.default_input_config() else { continue };
                if device_id.id() == "null" {
                    continue;
                }
                let mut formats: Vec<String> = device
                    .supported_input_configs()
                    .map(|ranges| ranges.map(|range| range.sample_format().to_string()).collect())
                    .unwrap_or_default();
                formats.sort();
                formats.dedup();
                found.push(DeviceInfo {
                    id: device_id.to_string(),
                    name: name(&device),
                    host: id.name().to_owned(),
                    is_default: default.as_ref() == Some(&device_id),
                    rate_hz: config.sample_rate(),
                    channels: config.channels(),
                    formats,
                });
            }
        }
        Ok((found, refused))
    })
}

/// Opens the device with this id, or the default one.
///
/// # Errors
/// `NoDevice`, `UnknownDevice`, `Busy`, `Permission`, `Unusable` or `Channel`.
pub fn open(id: Option<&str>, channel: Channel, gain_db: f32) -> Result<Capture, CaptureError> {
    let id = id.map(str::to_owned);
    let (tell, notices) = bounded(1);
    let device_latency_ns = Arc::new(AtomicU64::new(0));
    let latency = device_latency_ns.clone();
    let (stream, rate_hz, reader) = on_a_thread("open", move || {
        let device = match &id {
            Some(id) => find(id)?,
            None => default()?,
        };
        start(&device, channel, gain_db, &tell, &latency)
    })?;
    let (is_held_up, guard) = (Arc::default(), Box::new(stream));
    Ok(Capture { rate_hz, reader, device_latency_ns, is_held_up, notices, pace: Pace::RealTime, guard })
}

/// Looks for the device with this id as [`open`] does, without opening it.
///
/// # Errors
/// `UnknownDevice` where there is none, with the nearest id or name.
pub fn look_for(id: &str) -> Result<(), CaptureError> {
    let id = id.to_owned();
    on_a_thread("look", move || find(&id).map(drop))
}

/// The default device of the first host that has one.
fn default() -> Result<cpal::Device, CaptureError> {
    let (mut tried, mut refused) = (Vec::new(), None);
    for id in hosts() {
        let quiet = Quiet::around(id);
        match cpal::host_from_id(id).map(|host| host.default_input_device()) {
            // A host may name a default that does not exist: ALSA does on a machine without a sound card.
            Ok(Some(device)) if device.default_input_config().is_ok() => {
                drop(quiet);
                if let Some(refused) = refused {
                    tracing::warn!("{refused}; {} is taken instead", id.name());
                }
                return Ok(device);
            }
            Ok(_) => tried.push(format!("{id:?} has none")),
            Err(error) => match refusal(id, &error) {
                Some(sentence) => {
                    tried.push(sentence.clone());
                    refused = Some(sentence);
                }
                None => tried.push(format!("{id:?} is not there")),
            },
        }
    }
    Err(CaptureError::NoDevice { tried: tried.join(", ") })
}

/// A host that answers; the sentence of one that refuses joins `refused`.
fn reach(id: HostId, refused: &mut Vec<String>) -> Option<cpal::Host> {
    cpal::host_from_id(id).map_err(|error| refused.extend(refusal(id, &error))).ok()
}

/// The sentence about a sound server that is there and refuses; `None` where it is not there.
fn refusal(host: HostId, error: &cpal::Error) -> Option<String> {
    let what = one_line(error);
    // A server hangs up on who brings no cookie at all. The socket of one that has gone refuses connections.
    let is_away = matches!(error.kind(), ErrorKind::HostUnavailable | ErrorKind::DeviceNotAvailable)
        || ["Connection refused", "No such file"].iter().any(|what_for| what.contains(what_for));
    let remedy = "run as its user, or name its cookie in $PULSE_COOKIE, which is pulse/cookie in that user's ~/.config";
    (!is_away && host.name().eq_ignore_ascii_case("pulseaudio")).then(|| format!("{host:?} refuses this user ({what}): {remedy}"))
}

/// The device with this id, or the only one with this name.
fn find(wanted: &str) -> Result<cpal::Device, CaptureError> {
    let mut named = Vec::new();
    let mut known = Vec::new();
    let mut refused = Vec::new();
    for id in hosts() {
        let _quiet = Quiet::around(id);
        let Some(host) = reach(id, &mut refused) else { continue };
        let Ok(devices) = host.devices() else { continue };
        for device in devices.filter(|device| device.supports_input()) {
            let Ok(device_id) = device.id().map(|id| id.to_string()) else { continue };
            if device_id == wanted {
                return Ok(device);
            }
            let name = name(&device);
            known.push(device_id);
            known.push(name.clone());
            if name.eq_ignore_ascii_case(wanted) {
                named.push(device);
            }
        }
    }
    if named.len() == 1 {
        return named.pop().ok_or_else(|| CaptureError::NoDevice { tried: wanted.to_owned() });
    }
    if !refused.is_empty() {
        return Err(CaptureError::Unusable { device: wanted.to_owned(), what: refused.join("; ") });
    }
    let suggestion = nearest(wanted, known.iter().map(String::as_str)).map(str::to_owned);
    Err(CaptureError::UnknownDevice { wanted: wanted.to_owned(), suggestion })
}

fn name(device: &cpal::Device) -> String {
    device.description().map(|description| description.name().to_owned()).unwrap_or_default()
}

/// Starts the capture of a device.
fn start(
    device: &cpal::Device,
    channel: Channel,
    gain_db: f32,
    tell: &Sender<Notice>,
    latency: &Arc<AtomicU64>,
) -> Result<(cpal::Stream, u32, Reader), CaptureError> {
    let id = device.id();
    let _quiet = id.as_ref().ok().and_then(|id| Quiet::around(id.host()));
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    let fault = |error: &cpal::Error| fault(&id, error);
    let supported = choose(device).map_err(|error| fault(&error))?;
    let rate_hz = supported.sample_rate();
    check_rate(rate_hz).map_err(|error| CaptureError::Unusable { device: id.clone(), what: error.to_string() })?;
    let channels = supported.channels();
    if let Channel::Pick(wanted) = channel
        && wanted > channels
    {
        return Err(CaptureError::Channel { source_name: format!("the device {id:?}"), wanted, available: channels });
    }
    let mut wanted = (f64::from(rate_hz) * FRAGMENT_S) as u32;
    if let SupportedBufferSize::Range { min, max } = *supported.buffer_size() {
        wanted = wanted.clamp(min, max.max(min));
    }
    let sizes = [BufferSize::Fixed(wanted), BufferSize::Default];
    let mut last = None;
    for buffer_size in sizes {
        let (writer, reader) = ring((rate_hz * RING_S) as usize);
        let callback = Callback::new(writer, channels, channel, gain_db);
        let config = StreamConfig { channels, sample_rate: rate_hz, buffer_size };
        match build(device, config, supported.sample_format(), callback, tell.clone(), latency.clone()) {
            Ok(stream) => {
                stream.play().map_err(|error| fault(&error))?;
                return Ok((stream, rate_hz, reader));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| CaptureError::NoDevice { tried: id.clone() }, |error| fault(&error)))
}

/// The device's own default configuration where it is usable, else the nearest to it.
fn choose(device: &cpal::Device) -> Result<SupportedStreamConfig, cpal::Error> {
    let default = device.default_input_config();
    if let Ok(config) = &default
        && check_rate(config.sample_rate()).is_ok()
        && is_known(config.sample_format())
    {
        return default;
    }
    let ranges = device.supported_input_configs()?;
    let usable = ranges
        .filter(|range| {
            is_known(range.sample_format()) && range.max_sample_rate() >= MIN_RATE_HZ && range.min_sample_rate() <= MAX_RATE_HZ
        })
        .max_by(|a, b| a.cmp_default_heuristics(b));
    match usable {
        Some(range) => {
            let rate_hz = 48_000.clamp(range.min_sample_rate(), range.max_sample_rate());
            Ok(range.with_sample_rate(rate_hz))
        }
        None => default,
    }
}

fn is_known(format: SampleFormat) -> bool {
    use SampleFormat::{F32, F64, I8, I16, I24, I32, I64, U8, U16, U24, U32, U64};
    matches!(format, I8 | I16 | I24 | I32 | I64 | U8 | U16 | U24 | U32 | U64 | F32 | F64)
}

/// Builds the stream for the device's sample format.
fn build(
    device: &cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
    callback: Callback,
    tell: Sender<Notice>,
    latency: Arc<AtomicU64>,
) -> Result<cpal::Stream, cpal::Error> {
    match format {
        SampleFormat::I8 => build_as::<i8>(device, config, callback, tell, latency),
        SampleFormat::I16 => build_as::<i16>(device, config, callback, tell, latency),
        SampleFormat::I24 => build_as::<cpal::I24>(device, config, callback, tell, latency),
        SampleFormat::I32 => build_as::<i32>(device, config, callback, tell, latency),
        SampleFormat::I64 => build_as::<i64>(device, config, callback, tell, latency),
        SampleFormat::U8 => build_as::<u8>(device, config, callback, tell, latency),
        SampleFormat::U16 => build_as::<u16>(device, config, callback, tell, latency),
        SampleFormat::U24 => build_as::<cpal::U24>(device, config, callback, tell, latency),
        SampleFormat::U32 => build_as::<u32>(device, config, callback, tell, latency),
        SampleFormat::U64 => build_as::<u64>(device, config, callback, tell, latency),
        SampleFormat::F32 => build_as::<f32>(device, config, callback, tell, latency),
        SampleFormat::F64 => build_as::<f64>(device, config, callback, tell, latency),
        other => {
            Err(cpal::Error::with_message(ErrorKind::UnsupportedConfig, format!("the sample format {other} is not supported")))
        }
    }
}

fn build_as<T>(
    device: &cpal::Device,
    config: StreamConfig,
    mut callback: Callback,
    tell: Sender<Notice>,
    latency: Arc<AtomicU64>,
) -> Result<cpal::Stream, cpal::Error>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    let on_samples = move |samples: &[T], info: &InputCallbackInfo| {
        let times = info.timestamp();
        let age = times.callback.duration_since(times.capture);
        latency.store(u64::try_from(age.as_nanos()).unwrap_or(0), Relaxed);
        callback.process(samples, |sample| <f32 as FromSample<T>>::from_sample_(sample));
    };
    let on_error = move |error: cpal::Error| match error.kind() {
        // The stream goes on after these errors.
        ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
        _ => {
            // The first fatal error is enough; the channel holds one notice.
            let _ = tell.try_send(Notice::Lost(format!("the device stopped ({})", one_line(&error))));
        }
    };
    device.build_input_stream(config, on_samples, on_error, Some(PATIENCE))
}

fn fault(device: &str, error: &cpal::Error) -> CaptureError {
    let device = device.to_owned();
    match error.kind() {
        ErrorKind::DeviceBusy => CaptureError::Busy { device },
        ErrorKind::PermissionDenied => CaptureError::Permission { device },
        _ => CaptureError::Unusable { device, what: one_line(error) },
    }
}

fn one_line(error: &cpal::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

/// Does work that may hang on a thread of its own, and waits for it no longer than [`PATIENCE`] and a second.
fn on_a_thread<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, CaptureError> + Send + 'static,
) -> Result<T, CaptureError> {
    let (answer, done) = bounded(1);
    let work = move || {
        let _ = answer.send(work());
    };
    spawn(&format!("sound-{what}"), work)?;
    done.recv_timeout(PATIENCE + Duration::from_secs(1)).unwrap_or_else(|_| {
        let tried = format!("the sound system did not answer within {} s", PATIENCE.as_secs() + 1);
        Err(CaptureError::NoDevice { tried })
    })
}

/// While it lives, standard error goes to /dev/null: libasound and libjack write there when devices are listed, and have no
/// better way to stop it.
struct Quiet {
    stderr: Option<OwnedFd>,
    _alone: std::sync::MutexGuard<'static, ()>,
}

/// Only one thread may redirect standard error at a time, or the second would restore the first one's /dev/null.
static QUIET: Mutex<()> = Mutex::new(());

impl Quiet {
    /// Quiet while ALSA is asked. The other hosts write nothing, and may take so long that messages of other threads would be
    /// lost.
    fn around(host: HostId) -> Option<Self> {
        (!["pulseaudio", "pipewire"].contains(&host.name().to_lowercase().as_str())).then(Self::new)
    }

    fn new() -> Self {
        let alone = QUIET.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let null = OpenOptions::new().write(true).open("/dev/null");
        let stderr = std::io::stderr().as_fd().try_clone_to_owned().ok();
        if let (Some(_), Ok(null)) = (&stderr, null) {
            // Where it cannot be redirected, some noise on standard error is the lesser evil.
            let _ = nix::unistd::dup2_stderr(null);
        }
        Self { stderr, _alone: alone }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(stderr) = &self.stderr {
            let _ = nix::unistd::dup2_stderr(stderr);
        }
    }
}
