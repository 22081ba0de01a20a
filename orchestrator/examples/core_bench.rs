//! Prints how quick the crash-state engine is: `cargo run --release --example core_bench [ENTRIES]`.

fn main() -> anyhow::Result<()> {
    let entries = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |text| text.parse())?;
    print!("{}", coldcut::bench::core(entries)?);
    Ok(())
}
