import { expect, it } from 'vitest';
import { describePython, python } from './python.js';

describePython('python', () => {
  it('resolves with what the code printed', async () => {
    expect(await python('import sys; print(sys.argv[1:])', ['a', 'b c'])).toBe("['a', 'b c']\n");
  });

  it('rejects with what Python said on stderr', async () => {
    await expect(python('raise SystemExit("no such column: age")')).rejects.toThrow(/no such column: age/);
  });

  it('has the packages that the other tests use', async () => {
    const packages = ['duckdb', 'numpy', 'onnx', 'onnxruntime', 'pandas', 'polars', 'pyarrow', 'sklearn'];
    expect(await python(`import ${packages.join(', ')}; print('ok')`)).toBe('ok\n');
  });
});
