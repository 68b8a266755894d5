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
    assert!(fail(b"hello").contains("is not a picture"));
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
    for length in (whole.len() - 60..=whole.len() - 4).step_by(7) {
        let problem = image(&whole[..length]).unwrap_err();
        assert!(problem.contains("the end of the JPEG image is missing"), "{length}: {problem}");
    }
    // Where only the mark of the end is missing, or something else stands in its place, nothing is missing of the image.
    let cut = &whole[..whole.len() - 2];
    for file in [cut.to_vec(), [cut, &[0xff]].concat(), [cut, &[0; 14]].concat(), [cut, b"\r\n"].concat()] {
        assert_eq!(image(&file[..]).unwrap(), image(&whole[..]).unwrap());
    }
    // A film behind it, in which anything may stand; a picture behind it that was cut off; a preview in front.
    let film = [&whole[..], b"film \xff\xda\xff\xd8\xff\xda"].concat();
    let two = [&whole[..], &whole[..whole.len() - 2]].concat();
    let preview = with_segment(0xe1, &whole);
    for file in [&film, &two, &preview] {
        assert_eq!(image(&file[..]).unwrap(), image(&whole[..]).unwrap());
    }
    // The preview's end is not the picture's.
    assert!(image(&preview[..preview.len() - 9]).unwrap_err().contains("is truncated"));
    assert_eq!(image(&preview[..preview.len() - 2]).unwrap(), image(&whole[..]).unwrap());
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

/// Numbers of few bits in 16: one image by itself is seen, and several are not compared by what each of them uses.
#[test]
fn unused_upper_bits_are_no_darkness() {
    use image::{ImageBuffer, Luma};
    let file = |factor: u16| {
        let image = ImageBuffer::from_fn(4, 1, |x, _| Luma([x as u16 * factor]));
        encoded(DynamicImage::ImageLuma16(image), ImageFormat::Png)
    };
    for (factor, bits) in [(85u16, 8u32), (341, 10), (1365, 12), (5461, 14)] {
        let decoded = decode(&file(factor)[..]).unwrap();
        match decoded.plain() {
            Ok(plain) => assert!(bits > 10 && plain.to_luma8().get_pixel(3, 0).0[0] < 65, "{bits}"),
            Err(problem) => assert!(bits <= 10 && problem.contains(&format!("none is above {}", (1 << bits) - 1)), "{problem}"),
        }
        let (visible, plain) = decoded.visible();
        assert_eq!(visible.to_luma8().into_raw(), [0, 85, 170, 255], "{bits}");
        assert!(plain.is_some());
    }
    for whole in [21_845, 0] {
        let (image, plain) = decode(&file(whole)[..]).unwrap().visible();
        assert_eq!((image.to_luma8().get_pixel(3, 0).0[0], plain.is_none()), (if whole == 0 { 0 } else { 255 }, true));
    }
    // A picture of a model that only resizes, and one that learns, are refused alike.
    let picture = Picture::decode(Path::new("it"), &file(341)).unwrap();
    assert!(Preparation::Resize.apply(&picture, ImageShape::gray(1, 4)).unwrap_err().to_string().contains("save it in 8 bits"));
    assert!(image(&file(341)[..]).unwrap_err().contains("would be black"));
}

/// The bytes of hexadecimal digits.
fn hexadecimal(text: &str) -> Vec<u8> {
    text.as_bytes().as_chunks::<2>().0.iter().map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// One strip of pixels and the entries of a TIFF file beside its size, in one order of bytes or the other.
fn tiff_file(little: bool, (width, height): (u32, u32), bits: u32, photometric: u32, colours: &[u16], pixels: &[u8]) -> Vec<u8> {
    let short = |value: u16| if little { value.to_le_bytes() } else { value.to_be_bytes() };
    let long = |value: u32| if little { value.to_le_bytes() } else { value.to_be_bytes() };
    let strip = 8 + 2 + 12 * 9 + 4;
    let map = strip + pixels.len() as u32;
    let mut entries = vec![
        (256, 1, width),
        (257, 1, height),
        (258, 1, bits),
        (259, 1, 1),
        (262, 1, photometric),
        (273, 1, strip),
        (278, 1, height),
        (279, 1, pixels.len() as u32),
    ];
    if !colours.is_empty() {
        entries.push((320, colours.len() as u32, map));
    }
    let mut file = if little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
    file.extend(long(8));
    file.extend(short(entries.len() as u16));
    for (tag, count, value) in entries {
        file.extend(short(tag));
        // The map of colours is of 16 bits; all else is taken as 32, but what is tagged as 16.
        let is_short = matches!(tag, 258 | 259 | 262 | 320);
        file.extend(short(if is_short { 3 } else { 4 }));
        file.extend(long(count));
        match is_short && count == 1 {
            true => file.extend([short(value as u16), [0; 2]].concat()),
            false => file.extend(long(value)),
        }
    }
    file.resize(strip as usize, 0);
    file.extend(pixels);
    colours.iter().for_each(|&colour| file.extend(short(colour)));
    file
}

#[test]
fn palettes_are_colours() {
    for little in [true, false] {
        // Four colours, two bits each: black, red, green, blue.
        let map = [0, 0xff00, 0, 0, 0, 0, 0xff00, 0, 0, 0, 0, 0xff00];
        let file = tiff_file(little, (5, 1), 2, 3, &map, &[0b00_01_10_11, 0b01_000000]);
        let colours: Vec<[u8; 3]> = image(&file[..]).unwrap().to_rgb8().pixels().map(|pixel| pixel.0).collect();
        assert_eq!(colours, [[0; 3], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 0, 0]]);
        let short = tiff_file(little, (5, 1), 2, 3, &map[..9], &[0, 0]);
        assert!(image(&short[..]).unwrap_err().contains("cannot be decoded"));
        let cut = tiff_file(little, (5, 3), 2, 3, &map, &[0, 0]);
        assert!(image(&cut[..]).is_err());
    }
}

#[test]
fn floating_point_greys_are_greys() {
    let file = hexadecimal(
        "49492a00080000000a000001040001000000030000000101040001000000020000000201030001000000200000000301030001000000010000000601030001000000010000001101040001000000860000001601040001000000020000001701040001000000180000001c010300010000000100000053010300010000000300000000000000000000000000003f0000803f0000803e000000000000803f",
    );
    assert_eq!(image(&file[..]).unwrap().to_luma8().into_raw(), [0, 128, 255, 64, 0, 255]);
    let mut negative = file.clone();
    let last = negative.len() - 1;
    negative[last] |= 0x80;
    assert!(image(&negative[..]).unwrap_err().contains("outside 0 to 65535"));
}

#[test]
fn a_fax_is_refused_by_its_name() {
    let file = hexadecimal(
        "49492a00180000000013505c004d6b10004d423b0013505c09000001030001000000100000000101030001000000040000000201030001000000010000000301030001000000030000000601030001000000010000001101040001000000080000001601030001000000040000001701040001000000100000001c010300010000000100000000000000",
    );
    assert!(image(&file[..]).unwrap_err().starts_with("is a fax (TIFF of group 3)"));
}
