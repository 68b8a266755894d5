//! Draws the first images of each class of the data set `digits` into one picture, to see what the networks see.
//!
//!     cargo run --release --example contact_sheet -- digits.png

use ffcl_gpu::dataset::digits;
use image::{GrayImage, Luma};

const COLUMNS: usize = 20;
const MARGIN: usize = 2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "digits.png".into());
    let images = digits::generate_with_counts(digits::SEED, 1000, 1).train;
    let (rows, columns) = (images.shape.height + MARGIN, images.shape.width + MARGIN);
    let mut sheet = GrayImage::from_pixel((COLUMNS * columns) as u32, (10 * rows) as u32, Luma([255]));
    for class in 0..10 {
        let members = (0..images.count()).filter(|&index| usize::from(images.labels[index]) == class);
        for (column, index) in members.take(COLUMNS).enumerate() {
            for (position, &ink) in images.image(index).iter().enumerate() {
                let (y, x) = (class * rows + position / images.shape.width, column * columns + position % images.shape.width);
                // Dark on light, as on paper; the networks see the reverse.
                sheet.put_pixel(x as u32, y as u32, Luma([255 - ink]));
            }
        }
    }
    sheet.save(&path)?;
    println!("{path}");
    Ok(())
}
