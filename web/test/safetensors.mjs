// Tensors of a safetensors file, and how far two files are apart.

export function parse(bytes) {
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
  const tensors = new Map();
  delete header.__metadata__;
  for (const [name, { dtype, data_offsets: [begin, end] }] of Object.entries(header)) {
    if (dtype !== "F32") continue;
    const data = bytes.subarray(8 + length + begin, 8 + length + end);
    tensors.set(name, Float32Array.from({ length: data.length / 4 }, (_, index) => data.readFloatLE(4 * index)));
  }
  return tensors;
}

export const distance = (one, other) => Math.sqrt(one.reduce((sum, value, index) => sum + (value - (other?.[index] ?? 0)) ** 2, 0));
