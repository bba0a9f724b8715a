import { expect, it } from 'vitest';
import { leaderlessTimes } from './leaderless.ts';
import { Recorder } from './recorder.ts';

class Clients {
  #nowMs = 0;
  readonly recorder = new Recorder({ nowMs: () => this.#nowMs });

  at(ms: number): this {
    this.#nowMs = ms;
    return this;
  }

  /** Answers how it is acknowledged. */
  send(value: string): (epoch: number, duplicate?: true) => void {
    const told = { f: 'send' as const, process: 0, value, key: 'a-0' };
    const op = this.recorder.invoke(told);
    return (epoch, duplicate) =>
      this.recorder.complete(op, 'ok', {
        ...told,
        epoch,
        offset: 1,
        ...(duplicate === undefined ? {} : { duplicate }),
      });
  }
}

it('a change of a leader takes from the first send that only the next one acknowledges to its first acknowledgement', () => {
  const clients = new Clients();
  const first = clients.at(10).send('1');
  const second = clients.at(20).send('2');
  clients.at(25);
  first(1);
  const third = clients.at(30).send('3');
  clients.at(90);
  third(2);
  clients.at(95);
  second(2);
  expect(leaderlessTimes(clients.recorder.events)).toEqual([{ key: 'a-0', epoch: 2, ms: 70 }]);
});

it('the first leader follows nobody, and a repeat does not count: its epoch is that of the first copy', () => {
  const clients = new Clients();
  const first = clients.at(10).send('1');
  clients.at(20);
  first(3);
  const repeated = clients.at(30).send('2');
  clients.at(900);
  repeated(4, true);
  expect(leaderlessTimes(clients.recorder.events)).toEqual([]);
});
