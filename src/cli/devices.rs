//! `mimid devices`: lists the capture devices with their stable ids, or the cameras of the network. It opens none of them.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::{Failure, exit, say};
use crate::capture::device::{self, DeviceInfo};
use crate::capture::network::discovery::{FoundCamera, cameras};
use crate::limits;
use crate::text::visible;

/// The time that cameras have to answer.
const ANSWERING: Duration = Duration::from_secs(2);

/// List the capture devices with their stable ids.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
    /// Ask the local network for cameras (ONVIF), and list those that answer within two seconds instead
    #[arg(long)]
    network: bool,
}

#[derive(Debug, Serialize)]
struct DeviceLine<'a> {
    id: &'a str,
    name: &'a str,
    host: &'a str,
    default: bool,
    rate_hz: u32,
    channels: u16,
    formats: &'a [String],
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.network {
        return list_cameras(args.json);
    }
    let (devices, refused) = device::devices().map_err(|error| Failure::new(&error, error.exit_code()))?;
    for sentence in &refused {
        say(format_args!("warning: {sentence}"));
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        json(&devices, &mut out)?;
    } else if devices.is_empty() {
        let message = "there is no capture device; plug in a microphone, or start a sound server (PipeWire or PulseAudio)";
        return Err(Failure::new(message, exit::DEVICE));
    } else {
        table(&devices, &mut out)?;
    }
    out.flush()?;
    Ok(())
}

/// Lists the cameras of the network.
fn list_cameras(as_json: bool) -> Result<(), Failure> {
    let refused = |error: io::Error| {
        Failure::new(format_args!("the network cannot be asked for cameras: {}", limits::explain(&error)), exit::FAILED)
    };
    let cameras = cameras(ANSWERING).map_err(refused)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if as_json {
        let line = |(address, camera): (&IpAddr, &FoundCamera)| serde_json::json!({ "address": address, "name": camera.name, "hardware": camera.hardware, "services": camera.services });
        serde_json::to_writer_pretty(&mut out, &cameras.iter().map(line).collect::<Vec<_>>()).map_err(io::Error::from)?;
        writeln!(out)?;
    } else if cameras.is_empty() {
        let message = "no camera answers; turn ONVIF on in its settings, or write its rtsp:// address from its manual";
        return Err(Failure::new(message, exit::DEVICE));
    } else {
        for (address, camera) in &cameras {
            let name = camera.name.as_deref().unwrap_or("without a name");
            let hardware = camera.hardware.as_ref().map(|hardware| format!("  ({hardware})")).unwrap_or_default();
            writeln!(out, "  {address:<15}  {}{}", visible(name), visible(&hardware))?;
        }
        writeln!(out, "A source is input = \"rtsp://USER:PASSWORD@ADDRESS/PATH\"; the camera's manual or page names the path.")?;
    }
    out.flush()?;
    Ok(())
}

fn json(devices: &[DeviceInfo], out: &mut impl Write) -> io::Result<()> {
    let line = |device: &DeviceInfo| -> serde_json::Value {
        let DeviceInfo { id, name, host, is_default, rate_hz, channels, formats } = device;
        serde_json::json!(DeviceLine { id, name, host, default: *is_default, rate_hz: *rate_hz, channels: *channels, formats })
    };
    let lines: Vec<_> = devices.iter().map(line).collect();
    serde_json::to_writer_pretty(&mut *out, &lines)?;
    writeln!(out)
}

fn table(devices: &[DeviceInfo], out: &mut impl Write) -> io::Result<()> {
    let width = |text: fn(&DeviceInfo) -> &str| devices.iter().map(|device| text(device).chars().count()).max().unwrap_or(0);
    let (ids, names) = (width(|device| &device.id), width(|device| &device.name));
    for device in devices {
        let mark = if device.is_default { '*' } else { ' ' };
        let (rate, channels) = (format!("{} Hz", device.rate_hz), format!("{} ch", device.channels));
        let formats = device.formats.join(" ");
        writeln!(out, "{mark} {:<ids$}  {:<names$}  {rate:>9}  {channels:>5}  {formats}", device.id, device.name)?;
    }
    writeln!(out, "* is the default of its sound system")
}
