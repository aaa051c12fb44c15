//! `cargo xtask`: set-up, build, run and test on one command each, one file a subcommand.
//!
//! It calls cargo and the system's programs; product logic has no place here.

mod apt;
mod bpf_toolchain;
mod compile;
mod run;
mod setup;
mod shell;
mod test;
mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Set-up, build, run and test of the DHCP server.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find or install what building and testing need
    Setup,
    /// Build the daemon with the XDP program in it
    Build(compile::Args),
    /// Set up, build and serve an interface until Ctrl-C
    Run(run::Args),
    /// Set up, check and run every test
    Test(test::Args),
    /// Other kernels, in QEMU
    Vm(vm::Args),
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Setup => setup::run(),
        Command::Build(args) => compile::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Vm(args) => vm::run(&args),
    }
}
