//! Prints how quick the disk under test is, against qemu-nbd: `cargo run --release --example device_bench [SECONDS]`.

use std::time::Duration;

fn main() -> anyhow::Result<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(4.0), |text| text.parse())?;
    print!(
        "{}",
        coldcut::bench::device(Duration::try_from_secs_f64(seconds)?)?
    );
    Ok(())
}
