//! Messages to the service manager by the protocol of `sd_notify(3)`.

use std::os::unix::net::UnixDatagram;

/// The variable with the address of the service manager's socket.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Reports that this process serves.
pub(crate) fn ready() {
    notify("READY=1\nSTATUS=serving\n");
}

/// Reports that another process of the service is its main process now.
pub(crate) fn replaced_by(pid: u32) {
    notify(&format!("MAINPID={pid}\nREADY=1\nSTATUS=upgraded; process {} drains\n", std::process::id()));
}

/// Sends a message; without a service manager, nothing happens.
fn notify(message: &str) {
    let Some(address) = std::env::var_os(SOCKET).filter(|address| !address.is_empty()) else { return };
    let sent = UnixDatagram::unbound().and_then(|socket| {
        #[cfg(target_os = "linux")]
        if let Some(name) = address.to_str().and_then(|address| address.strip_prefix('@')) {
            use std::os::linux::net::SocketAddrExt as _;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            return socket.send_to_addr(message.as_bytes(), &address);
        }
        socket.send_to(message.as_bytes(), &address)
    });
    if let Err(error) = sent {
        tracing::warn!(%error, "the service manager cannot be notified");
    }
}
