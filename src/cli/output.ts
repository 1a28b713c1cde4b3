/** Writes text for people, or one JSON document, to stdout; a line break is added. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2));
}

/** Progress and remarks, which are not what a command is asked for. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Colours are for people who look on and have not said otherwise (no-color.org). */
export function isColourful(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !process.env.NO_COLOR;
}

/** Whoever reads stdout may have enough of it, as `| head` does; that is no error of the command. */
export function endWhenNobodyReads(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  process.stderr.on('error', () => {});
}

/** Resolves when everything printed has left the process. */
export async function flushOutput(): Promise<void> {
  await Promise.all(
    [process.stdout, process.stderr].map(
      (stream) => new Promise<void>((resolve) => stream.write('', () => resolve())),
    ),
  );
}
