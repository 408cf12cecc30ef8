//! `tcp://` and `udp://`: satellites that push raw PCM, or over TCP also Wyoming's messages, from allowed addresses only.
//!
//! One satellite is heard at a time. A new connection takes the place of the one before, which a satellite that lost its power
//! never closed.

use std::collections::HashSet;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::PollTimeout;

use super::address::Network;
use super::manner;
use super::satellite::SatelliteDecoder;
use crate::capture::CaptureError;
use crate::capture::feed::hear::Wanted;
use crate::capture::feed::raw::RawDecoder;
use crate::capture::feed::{Feed, Inlet, Stopper, Woken};
use crate::capture::source::{Coding, Protocol, SourceConfig};
use crate::limits;

/// The sound in seconds that a satellite may send at once.
const BURST_S: u32 = 2;
/// The time after which another satellite's datagrams are heard.
const TURN: Duration = Duration::from_secs(2);
/// The most bytes that are taken at a time.
const READ: usize = 1 << 16;
/// The most strangers that are told apart; each is told once.
const MOST_STRANGERS: usize = 32;

/// Listens for satellites.
pub(in crate::capture) fn open(
    config: &SourceConfig,
    protocol: Protocol,
    listen: SocketAddr,
    coding: Coding,
) -> Result<Feed, CaptureError> {
    let wanted = Wanted::from(config);
    let guests = Guests { source: config.name.clone(), allowed: config.allow.clone(), strangers: HashSet::new() };
    Feed::start(&config.name, manner(BURST_S, true), move |inlet, stopper| {
        let told = |error: std::io::Error| format!("it cannot listen on {listen}: {}", limits::explain(&error));
        match protocol {
            Protocol::Tcp => {
                let listener = TcpListener::bind(listen).map_err(told)?;
                listener.set_nonblocking(true).map_err(told)?;
                hear_tcp(&listener, guests, coding, wanted, inlet, &stopper)
            }
            Protocol::Udp => {
                let socket = UdpSocket::bind(listen).map_err(told)?;
                socket.set_nonblocking(true).map_err(told)?;
                hear_udp(&socket, guests, coding, wanted, inlet, &stopper)
            }
        }
    })
}

/// The addresses that may push.
struct Guests {
    source: Arc<str>,
    allowed: Vec<Network>,
    strangers: HashSet<IpAddr>,
}

impl Guests {
    fn may(&mut self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if self.allowed.iter().any(|network| network.has(address)) {
            return true;
        }
        if self.strangers.len() < MOST_STRANGERS && self.strangers.insert(address) {
            tracing::warn!(source = %self.source, %address, "an address that is not in allow was refused");
        }
        false
    }
}

/// The connection of a satellite.
struct Satellite {
    stream: TcpStream,
    address: IpAddr,
    decoder: SatelliteDecoder,
}

fn hear_tcp(
    listener: &TcpListener,
    mut guests: Guests,
    coding: Coding,
    wanted: Wanted,
    inlet: &mut Inlet,
    stopper: &Stopper,
) -> Result<(), String> {
    let new_decoder = || SatelliteDecoder::new(coding, wanted.channel, wanted.gain_db);
    let mut present: Option<Satellite> = None;
    let mut bytes = vec![0; READ];
    loop {
        let mut fds = vec![listener.as_fd()];
        fds.extend(present.as_ref().map(|satellite| satellite.stream.as_fd()));
        match stopper.wait(&fds, PollTimeout::NONE).map_err(|error| limits::explain(&error))? {
            Woken::Readable(0) => {
                let Ok((stream, peer)) = listener.accept() else { continue };
                if !guests.may(peer.ip()) || stream.set_nonblocking(true).is_err() {
                    continue;
                }
                if present.is_some() {
                    inlet.lose(format!("another connection came, from {}", peer.ip()));
                }
                tracing::info!(source = %guests.source, address = %peer.ip(), "a satellite is connected");
                present = Some(Satellite { stream, address: peer.ip(), decoder: new_decoder()? });
            }
            Woken::Readable(_) => {
                let Some(satellite) = &mut present else { continue };
                let address = satellite.address;
                let over = match satellite.stream.read(&mut bytes) {
                    Ok(0) => Some(format!("the satellite {address} closed the connection")),
                    Ok(n) => satellite.decoder.take(&bytes[..n], |samples, rate_hz| inlet.put(samples, rate_hz))?.err(),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => None,
                    Err(error) => Some(format!("the connection of the satellite {address} broke: {}", limits::explain(&error))),
                };
                if let Some(reason) = over {
                    inlet.lose(reason);
                    present = None;
                }
            }
            Woken::Stopped | Woken::Timeout => return Ok(()),
        }
    }
}

fn hear_udp(
    socket: &UdpSocket,
    mut guests: Guests,
    coding: Coding,
    wanted: Wanted,
    inlet: &mut Inlet,
    stopper: &Stopper,
) -> Result<(), String> {
    let (Coding::Raw(pcm) | Coding::Auto(pcm)) = coding else {
        return Err("a container cannot come over UDP; leave format out".to_owned());
    };
    let mut decoder = RawDecoder::new(pcm, wanted.channel, wanted.gain_db)?;
    let (mut bytes, mut samples) = (vec![0; READ], Vec::new());
    let mut present: Option<(IpAddr, Instant)> = None;
    loop {
        match stopper.wait(&[socket.as_fd()], PollTimeout::NONE).map_err(|error| limits::explain(&error))? {
            Woken::Readable(_) => {}
            Woken::Stopped | Woken::Timeout => return Ok(()),
        }
        let (n, peer) = match socket.recv_from(&mut bytes) {
            Ok(received) => received,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => continue,
            Err(error) => return Err(format!("nothing can be received: {}", limits::explain(&error))),
        };
        let is_another = |(present, since): (IpAddr, Instant)| present != peer.ip() && since.elapsed() < TURN;
        if !guests.may(peer.ip()) || present.is_some_and(is_another) {
            continue;
        }
        present = Some((peer.ip(), Instant::now()));
        // Each datagram holds whole frames.
        decoder.begin();
        decoder.decode(&bytes[..n], &mut samples)?;
        inlet.put(&samples, pcm.rate_hz)?;
    }
}
