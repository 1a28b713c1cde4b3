// Compiles for publishing (Node does not strip types inside node_modules) and copies what tsc leaves behind.
import { execFileSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';

rmSync('dist', { recursive: true, force: true });
execFileSync('tsc', ['-p', '.config/tsconfig.build.json'], { stdio: 'inherit' });
cpSync('src/store/lua', 'dist/src/store/lua', { recursive: true });
