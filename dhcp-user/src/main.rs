//! The daemon's door: command line in, exit code out.

use anyhow::{Result, anyhow};
use clap::Parser as _;
use dhcp_user::{
    cli::{Cli, Command, Serve},
    control, server,
};
use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(options) => serve(&options),
        Command::Leases(query) => control::leases(&query.state).map_err(Into::into).and_then(|leases| {
            let text = if query.json {
                serde_json::to_string_pretty(&leases)?
            } else {
                control::lease_table(&leases)
            };
            print(&text)
        }),
        Command::Stats(query) => control::stats(&query.state).map_err(Into::into).and_then(|stats| {
            let text =
                if query.json { serde_json::to_string_pretty(&stats)? } else { control::stats_text(&stats) };
            print(&text)
        }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Every message has its causes in its words.
            eprintln!("dhcp-user: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output. Whoever reads may stop reading (`| head`).
fn print(text: &str) -> Result<()> {
    match writeln!(io::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(anyhow!("standard output: {error}")),
        _ => Ok(()),
    }
}

fn serve(options: &Serve) -> Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let to_terminal = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(to_terminal).with_writer(io::stderr).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // From here on a signal ends the daemon in order, also while it starts.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let (daemon, ears, words) = server::start(options).await?;
        eprintln!("{words}");
        print("ready")?;
        if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
            tracing::warn!(%error, "sd_notify");
        }
        let stop = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        };
        daemon.run(ears, stop).await.map_err(Into::into)
    })
}
