//! Images in files, holes, and exports.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use coldcut::disk::{FileImage, FrozenImage, export_sparse};
use coldcut_core::recording::block::{ReadAt, Zeros};

use super::rig::{Rig, noise, whole};

const SIZE: u64 = (64 << 20) + 512;

/// Everything that `next_data` calls a hole must be zeros; the bytes of what it calls data.
fn check_hints(image: &dyn ReadAt) -> u64 {
    let bytes = whole(image);
    let (mut at, mut data) = (0, 0);
    while let Some(range) = image.next_data(at).expect("a hint") {
        assert!(
            at <= range.start && range.start < range.end && range.end <= image.size(),
            "{range:?} from {at}"
        );
        assert!(
            bytes[at as usize..range.start as usize]
                .iter()
                .all(|byte| *byte == 0),
            "data before {range:?}"
        );
        data += range.end - range.start;
        at = range.end;
    }
    assert!(
        bytes[at as usize..].iter().all(|byte| *byte == 0),
        "data after {at}"
    );
    data
}

fn sparse_file(directory: &tempfile::TempDir) -> FileImage {
    let path = directory.path().join("base");
    let file = File::create(&path).expect("a file");
    file.set_len(SIZE).expect("a length");
    file.write_all_at(&noise(1, 100_000), 5000).expect("data");
    file.write_all_at(&noise(2, 4096), 40 << 20).expect("data");
    FileImage::open(&path).expect("an image")
}

fn written_over(base: Arc<dyn ReadAt>) -> Arc<FrozenImage> {
    let rig = Rig::new(base);
    let mut client = rig.client();
    client
        .write(40 << 20, &[0; 4096], false)
        .expect("zeros over data");
    client
        .write((20 << 20) + 512, &[5; 10_240], false)
        .expect("data over a hole");
    client.trim(8192, 65_536, false).expect("a trim over data");
    client
        .write_zeroes(30 << 20, 8 << 20, false)
        .expect("zeros over a hole");
    client
        .write(SIZE - 512, &[6; 512], false)
        .expect("the last sector");
    rig.handle.freeze().expect("an image")
}

#[test]
fn a_file_image_reads_its_file_and_knows_its_holes() {
    let directory = tempfile::tempdir().expect("a directory");
    let image = sparse_file(&directory);
    assert_eq!(image.size(), SIZE);
    let data = check_hints(&image);
    assert!((104_096..1 << 20).contains(&data), "{data} bytes of data");
    assert!(
        image.read_at(SIZE - 100, &mut [0; 101]).is_err(),
        "beyond the end"
    );
    assert_eq!(image.next_data(SIZE).expect("a hint"), None);
    assert_eq!(image.next_data(u64::MAX).expect("a hint"), None);
}

#[test]
fn an_export_is_equal_and_sparse() {
    let directory = tempfile::tempdir().expect("a directory");
    let image = written_over(Arc::new(sparse_file(&directory)));
    check_hints(&image);
    let path = directory.path().join("export");
    std::fs::write(&path, vec![9; 100_000]).expect("an old file");
    let written = export_sparse(&image, &path).expect("an export");
    assert_eq!(std::fs::read(&path).expect("a file"), whole(&image));
    let expected = {
        let bytes = whole(&image);
        bytes
            .chunks(4096)
            .filter(|block| block.iter().any(|byte| *byte != 0))
            .map(<[u8]>::len)
            .sum::<usize>()
    };
    assert_eq!(written, expected as u64, "exactly the blocks that are not zero");
    let allocated = std::fs::metadata(&path).expect("metadata").blocks() * 512;
    assert!(allocated < 1 << 20, "{allocated} bytes allocated");
    let again = FileImage::open(&path).expect("an image");
    assert_eq!(whole(&again), whole(&image));
}

#[test]
fn an_export_over_a_base_without_hints_is_the_same() {
    struct Plain(Vec<u8>);
    impl ReadAt for Plain {
        fn size(&self) -> u64 {
            self.0.size()
        }
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
            self.0.read_at(offset, buffer)
        }
    }
    let directory = tempfile::tempdir().expect("a directory");
    let base = sparse_file(&directory);
    let image = written_over(Arc::new(Plain(whole(&base))));
    check_hints(&image);
    let path = directory.path().join("export");
    export_sparse(&image, &path).expect("an export");
    assert_eq!(std::fs::read(&path).expect("a file"), whole(&image));
    assert!(std::fs::metadata(&path).expect("metadata").blocks() * 512 < 1 << 20);
}

#[test]
fn an_empty_image_exports_to_a_hole() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("export");
    assert_eq!(
        export_sparse(&Zeros { size: 1 << 40 }, &path).expect("an export"),
        0
    );
    let metadata = std::fs::metadata(&path).expect("metadata");
    assert_eq!((metadata.len(), metadata.blocks()), (1 << 40, 0));
    let into_nowhere = export_sparse(&Zeros { size: 512 }, &directory.path().join("no/such"));
    assert!(into_nowhere.is_err());
}
