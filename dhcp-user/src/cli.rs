//! The command line: what can be said, and its help. Must not do any of it.

use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Where the daemon keeps what must outlive it.
const STATE_DIR: &str = "/var/lib/dhcp-user";

/// A DHCPv4 server that answers renewals in the kernel.
#[derive(Debug, Parser)]
#[command(name = "dhcp-user", version, about, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve one interface, in the foreground, until interrupted
    ///
    /// Prints the line `ready` on standard output once clients are answered, and logs to standard error (RUST_LOG
    /// chooses how much). Needs root.
    Serve(Serve),
    /// List the leases of a running daemon
    Leases(Query),
    /// Show the counters of a running daemon: fast path, slow path, sockets, store
    Stats(Query),
}

/// What [`Command::Serve`] needs to know.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// The Ethernet interface whose clients are served
    #[arg(long, value_name = "IFACE")]
    pub iface: String,

    /// The configuration, in TOML; whatever it leaves out follows from the interface
    ///
    /// Without it the interface's own prefix is served: all of its addresses but ours and the gateway's, for an
    /// hour each, with the host's gateway and resolvers.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The directory of the leases and of the control socket; one daemon at a time uses it
    #[arg(long, value_name = "DIR", default_value = STATE_DIR)]
    pub state: PathBuf,

    /// Where the fast path runs
    #[arg(long, value_enum, default_value_t = Mode::Auto)]
    pub mode: Mode,
}

/// What [`Command::Leases`] and [`Command::Stats`] need to know.
#[derive(Debug, clap::Args)]
pub struct Query {
    /// The running daemon's state directory
    #[arg(long, value_name = "DIR", default_value = STATE_DIR)]
    pub state: PathBuf,

    /// Print JSON, with everything in it, instead of text
    #[arg(long)]
    pub json: bool,
}

/// Where the fast path runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// In the driver where that works, else as generic
    Auto,
    /// In the driver, or not at all
    Native,
    /// In the kernel's stack, on any interface, more slowly
    Generic,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, error::ErrorKind};

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_needs_an_interface_alone() {
        let Command::Serve(serve) =
            Cli::try_parse_from(["dhcp-user", "serve", "--iface", "eth0"]).unwrap().command
        else {
            panic!("not serve")
        };
        assert_eq!((serve.iface.as_str(), serve.config, serve.mode), ("eth0", None, Mode::Auto));
        assert_eq!(serve.state, PathBuf::from("/var/lib/dhcp-user"));
        let error = Cli::try_parse_from(["dhcp-user", "serve"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
    }

    #[test]
    fn everything_can_be_said() {
        let line = "dhcp-user serve --iface eth0 --config a.toml --state /s --mode generic";
        assert!(Cli::try_parse_from(line.split(' ')).is_ok());
        for line in ["dhcp-user leases --json --state /s", "dhcp-user stats --json", "dhcp-user stats"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        assert!(Cli::try_parse_from(["dhcp-user", "serve", "--iface", "eth0", "--mode", "fast"]).is_err());
    }
}
