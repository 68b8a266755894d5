use super::*;
use crate::dataset::ImageShape;
use crate::dataset::folder::{FolderOptions, load};
use crate::trained::picture::Picture;
use crate::trained::preparation::Preparation;
use image::{LumaA, Rgba, RgbaImage};
use std::fs;
use std::path::Path;

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A photograph of 16×8: bright on the left.
fn jpeg() -> Vec<u8> {
    encoded(RgbImage::from_fn(16, 8, |x, _| Rgb([if x < 8 { 250 } else { 5 }; 3])), ImageFormat::Jpeg)
}

/// The same with a segment in front.
fn with_segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let jpeg = jpeg();
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &length, content, &jpeg[2..]].concat()
}

/// The same by a camera that was turned by 90°.
fn turned() -> Vec<u8> {
    // Exif: one entry, the orientation, of type SHORT, is 6.
    let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    with_segment(0xe1, &[b"Exif\0\0".as_slice(), tiff].concat())
}

#[test]
fn transparency_lies_on_white() {
    let colours = RgbaImage::from_fn(3, 1, |x, _| Rgba([200, 0, 100, [0, 255, 128][x as usize]]));
    let decoded = image(&encoded(colours, ImageFormat::Png)[..]).unwrap();
    assert_eq!(decoded.into_rgb8().into_raw(), [255, 255, 255, 200, 0, 100, 227, 127, 177]);
    let grey = image::ImageBuffer::<LumaA<u8>, _>::from_fn(3, 1, |x, _| LumaA([100, [0, 255, 128][x as usize]]));
    let decoded = image(&encoded(grey, ImageFormat::Png)[..]).unwrap();
    assert_eq!((decoded.color().channel_count(), decoded.into_bytes()), (1, vec![255, 100, 177]));
}

#[test]
fn grey_of_any_depth_is_read() {
    let deep = image::ImageBuffer::<Luma<u16>, _>::from_pixel(2, 2, Luma([0x8080]));
    let flat = GrayImage::from_pixel(2, 2, Luma([0x80]));
    for file in [encoded(deep, ImageFormat::Tiff), encoded(flat, ImageFormat::Bmp)] {
        assert_eq!(image(&file[..]).unwrap().into_luma8().into_raw(), [0x80; 4]);
    }
}

#[test]
fn what_is_no_picture_is_refused() {
    let mut png = encoded(GrayImage::new(9, 9), ImageFormat::Png);
    let fail = |bytes: &[u8]| image(bytes).unwrap_err();
    assert!(fail(b"").contains("is empty"));
    assert!(fail(b"hello").contains("no picture"));
    assert!(fail(&png[..png.len() / 2]).contains("cannot be decoded"));
    // The size in the header: a bomb announces itself.
    png[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(!fail(&png).contains('\n'));
    let pnm = |header: &str| fail(format!("P5 {header} 255\n").as_bytes());
    assert!(pnm("32000 32000").contains("32000"), "{}", pnm("32000 32000"));
    assert!(pnm("99999 1").starts_with("cannot be decoded"));
    assert!(image(std::io::repeat(7)).unwrap_err().contains("more than 256 MiB"));
}

#[test]
fn a_jpeg_must_have_its_end_and_may_have_more() {
    let whole = jpeg();
    for length in [whole.len() - 1, whole.len() - 2, whole.len() - 9] {
        let problem = image(&whole[..length]).unwrap_err();
        assert!(problem.contains("the end of the JPEG image is missing"), "{length}: {problem}");
    }
    // A film behind it, in which anything may stand; a picture behind it that was cut off; a preview in front.
    let film = [&whole[..], b"film \xff\xda\xff\xd8\xff\xda"].concat();
    let two = [&whole[..], &whole[..whole.len() - 2]].concat();
    let preview = with_segment(0xe1, &whole);
    for file in [&film, &two, &preview] {
        assert_eq!(image(&file[..]).unwrap(), image(&whole[..]).unwrap());
    }
    // The preview's end is not the picture's.
    assert!(image(&preview[..preview.len() - 2]).unwrap_err().contains("is truncated"));
}

/// What is learnt from a folder is what would be asked about, whatever the file.
#[test]
fn training_and_prediction_see_the_same() {
    let clear = RgbaImage::from_fn(16, 8, |x, y| Rgba([9 * x as u8, 20, 30 * y as u8, 16 * x as u8]));
    let files = [jpeg(), turned(), encoded(clear, ImageFormat::Png)];
    for (file, grayscale) in files.iter().flat_map(|file| [(file, true), (file, false)]) {
        let folder = tempfile::tempdir().unwrap();
        for place in ["train/a/1", "train/b/1", "test/a/1", "test/b/1"] {
            let path = folder.path().join(place);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let options = FolderOptions { image_size: "5x6".parse().ok(), grayscale, ..FolderOptions::default() };
        let learnt = load(folder.path(), &options, &|_, _| {}).unwrap().dataset.test;
        assert_eq!(learnt.shape, ImageShape { channels: if grayscale { 1 } else { 3 }, height: 5, width: 6 });
        let picture = Picture::decode(Path::new("it"), file).unwrap();
        assert_eq!(Preparation::Resize.apply(&picture, learnt.shape).unwrap(), learnt.image(0));
    }
    // Bright on the left becomes bright on top.
    let upright = image(&turned()[..]).unwrap().into_luma8();
    assert_eq!(upright.dimensions(), (8, 16));
    assert!(upright.get_pixel(4, 2).0[0] > 200 && upright.get_pixel(4, 13).0[0] < 50);
}

/// The resizer alone would take gigabytes for such a picture.
#[test]
fn a_wide_picture_becomes_a_high_one() {
    let shades = [0, 100, 200];
    let column = GrayImage::from_fn(1, 3, |_, y| Luma([shades[y as usize]]));
    let wide = GrayImage::from_fn(16_400, 3, |_, y| Luma([shades[y as usize]]));
    let (expected, high) = (planes(column.into(), 1030, 1), planes(wide.into(), 1030, 1));
    assert!(expected.len() == high.len() && expected.iter().zip(&high).all(|(one, other)| one.abs_diff(*other) <= 1));
    assert_eq!((high[0], high[1029]), (0, 200));
}

/// The decoder fills in whatever is missing, which takes seconds and hundreds of megabytes.
#[test]
fn a_jpeg_must_have_bytes_for_its_pixels() {
    let mut file = jpeg();
    let frame = file.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    file[frame + 5..][..4].copy_from_slice(&[0x20, 0, 0x20, 0]);
    let problem = image(&file[..]).unwrap_err();
    assert!(problem.contains("8192×8192 pixels, which") && problem.starts_with("is truncated"), "{problem}");
    // An even picture is as small as they come.
    let even = encoded(GrayImage::new(2048, 2048), ImageFormat::Jpeg);
    assert!(image(&even[..]).is_ok(), "{} bytes", even.len());
}
