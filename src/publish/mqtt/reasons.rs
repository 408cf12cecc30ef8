//! The reasons that brokers give, as sentences for people. Nothing is sent or received here.

use rumqttc::v5;

/// The reason why a connection of version 3.1.1 ended, as a sentence.
pub fn why_v3(error: rumqttc::ConnectionError, was_up: bool, place: &str) -> String {
    use rumqttc::ConnectReturnCode::{BadUserNamePassword, NotAuthorized};
    use rumqttc::ConnectionError as Error;
    match error {
        Error::ConnectionRefused(BadUserNamePassword | NotAuthorized) => refused(place),
        Error::ConnectionRefused(code) => format!("the broker {place} refuses the connection: {code:?}"),
        Error::NetworkTimeout | Error::FlushTimeout => silent(place),
        Error::Tls(rumqttc::TlsError::Io(error)) | Error::Io(error) if !was_up => unreachable_because(place, &error),
        error => broken(place, &error.to_string(), was_up),
    }
}

/// The reason why a connection of version 5 ended, as a sentence.
pub fn why_v5(error: v5::ConnectionError, was_up: bool, place: &str) -> String {
    use v5::ConnectionError as Error;
    use v5::mqttbytes::v5::ConnectReturnCode::{BadUserNamePassword, NotAuthorized};
    match error {
        Error::ConnectionRefused(BadUserNamePassword | NotAuthorized) => refused(place),
        Error::MqttState(v5::StateError::ConnFail { reason: BadUserNamePassword | NotAuthorized }) => refused(place),
        Error::ConnectionRefused(code) => format!("the broker {place} refuses the connection: {code:?}"),
        Error::Timeout(_) => silent(place),
        Error::MqttState(v5::StateError::ServerDisconnect { reason_code, reason_string }) => {
            let said = reason_string.map(|said| format!(" ({said})")).unwrap_or_default();
            format!("the broker {place} has ended the connection: {}{said}", disconnection(reason_code))
        }
        Error::MqttState(v5::StateError::OutgoingPacketTooLarge { pkt_size, max }) => {
            format!("the broker {place} takes no packets of more than {max} bytes, and one of {pkt_size} was to be sent")
        }
        Error::Tls(rumqttc::TlsError::Io(error)) | Error::Io(error) if !was_up => unreachable_because(place, &error),
        error => broken(place, &error.to_string(), was_up),
    }
}

/// The reason that a broker gives for the end of a connection.
fn disconnection(reason: v5::mqttbytes::v5::DisconnectReasonCode) -> String {
    use v5::mqttbytes::v5::DisconnectReasonCode as Code;
    match reason {
        Code::SessionTakenOver => "another client has connected with the same client id".to_owned(),
        Code::PacketTooLarge => "a packet is larger than it takes".to_owned(),
        Code::QuotaExceeded => "a quota is exceeded".to_owned(),
        Code::MessageRateTooHigh => "there are too many messages at a time".to_owned(),
        Code::NotAuthorized => "this user may not do that".to_owned(),
        Code::ServerShuttingDown => "it shuts down".to_owned(),
        Code::ServerBusy => "it is too busy".to_owned(),
        Code::KeepAliveTimeout => "it has heard nothing from this client".to_owned(),
        Code::RetainNotSupported => "it retains no messages, which states need".to_owned(),
        other => format!("{other:?}"),
    }
}

/// The reason why a broker refuses a message; `None` where it takes it.
pub fn refusal(reason: v5::mqttbytes::v5::PubAckReason) -> Option<&'static str> {
    use v5::mqttbytes::v5::PubAckReason as Reason;
    match reason {
        Reason::Success | Reason::NoMatchingSubscribers => None,
        Reason::NotAuthorized => Some("the broker's access control does not let this user publish there"),
        Reason::QuotaExceeded => Some("a quota of the broker is exceeded"),
        Reason::TopicNameInvalid => Some("the broker does not take such a topic"),
        Reason::PayloadFormatInvalid => Some("the broker does not take such a payload"),
        Reason::UnspecifiedError | Reason::ImplementationSpecificError | Reason::PacketIdentifierInUse => {
            Some("the broker gives no reason")
        }
    }
}

fn refused(place: &str) -> String {
    format!("the broker {place} refuses the user or the password; set username and password_file under [sinks.mqtt]")
}

fn silent(place: &str) -> String {
    format!("the broker {place} does not answer")
}

fn unreachable_because(place: &str, error: &std::io::Error) -> String {
    let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    if is_tls {
        format!("the broker {place} is not who it should be, or speaks no TLS: {error}")
    } else {
        format!("the broker {place} cannot be reached: {error}")
    }
}

fn broken(place: &str, error: &str, was_up: bool) -> String {
    if was_up {
        format!("the connection to the broker {place} broke")
    } else {
        format!("the broker {place} cannot be used: {error}")
    }
}
