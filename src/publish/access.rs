//! The right to change the daemon: its own user, root and the members of the configured group have it.

use std::ffi::CString;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use tokio::net::unix::UCred;
use tokio::sync::{Mutex, oneshot};

use crate::limits;

/// Held while a peer's groups are looked up.
static LOOKUP: Mutex<()> = Mutex::const_new(());

/// The users and the group with the right, set once from the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    uid: u32,
    gid: Option<u32>,
}

impl Access {
    /// Gives the right to the daemon's own user, root and the members of `group`.
    pub fn new(group: Option<Gid>) -> Self {
        Self { uid: Uid::effective().as_raw(), gid: group.map(Gid::as_raw) }
    }

    /// Whether a user with these groups may change the daemon.
    pub fn allows(&self, uid: u32, gids: &[u32]) -> bool {
        uid == 0 || uid == self.uid || self.gid.is_some_and(|gid| gids.contains(&gid))
    }

    /// Whether the peer of a connection may change the daemon. A peer whose user the system does not tell may not.
    ///
    /// The groups of a user are looked up only where the peer's user and primary group do not decide. A thread of its own does
    /// it, because a directory on the network can take long to answer. One peer is looked up at a time, so that many peers do not
    /// start many threads.
    pub async fn allows_peer(self, peer: Option<UCred>) -> bool {
        let Some(peer) = peer else { return false };
        if self.allows(peer.uid(), &[peer.gid()]) || self.gid.is_none() {
            return self.allows(peer.uid(), &[peer.gid()]);
        }
        let _alone = LOOKUP.lock().await;
        let (tell, told) = oneshot::channel();
        let look = move || {
            let _ = tell.send(groups(&peer));
        };
        if let Err(error) = std::thread::Builder::new().name("groups".to_owned()).spawn(look) {
            tracing::warn!("a peer's groups cannot be looked up: {}", limits::explain(&error));
        }
        self.allows(peer.uid(), &told.await.unwrap_or_default())
    }
}

/// The group with this name, or else with this number.
pub fn find_group(name: &str) -> Option<Gid> {
    match Group::from_name(name) {
        Ok(Some(group)) => Some(group.gid),
        Ok(None) | Err(_) => name.parse().ok().map(Gid::from_raw),
    }
}

/// The groups of the peer's user.
fn groups(peer: &UCred) -> Vec<u32> {
    let user = User::from_uid(Uid::from_raw(peer.uid())).ok().flatten();
    let name = user.and_then(|user| CString::new(user.name).ok());
    let member_of = name.and_then(|name| getgrouplist(&name, Gid::from_raw(peer.gid())).ok());
    member_of.into_iter().flatten().map(Gid::as_raw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_user_root_and_group_may_and_others_may_not() {
        let access = Access { uid: 1_000, gid: Some(29) };
        assert!(access.allows(0, &[]));
        assert!(access.allows(1_000, &[]));
        assert!(access.allows(1_001, &[100, 29]));
        assert!(!access.allows(1_001, &[100]));
        assert!(!Access { gid: None, ..access }.allows(1_001, &[29]));
    }
}
