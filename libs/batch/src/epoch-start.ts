/**
 * What a log has to know of an EPOCH_START control record beyond its header: whether an operator forced the election.
 * The rest of its content (partita.peer.v1.EpochStartRecord) is the broker's matter.
 */
import { PartitaError } from '@partita/domain';
import { WireReader } from './wire-reader.ts';

/** Field 4, `unclean`, a varint. */
const UNCLEAN_TAG = (4 << 3) | 0;

/** True when the record says `unclean`. Content that is no such message says nothing: it is what leaders have always got. */
export function isUncleanStart(content: Uint8Array): boolean {
  const reader = new WireReader(content, 'partita.peer.v1.EpochStartRecord');
  let isUnclean = false;
  try {
    while (!reader.done()) {
      const tag = reader.tag();
      // Of a field that occurs twice protobuf takes the last.
      if (tag === UNCLEAN_TAG) isUnclean = reader.varint() !== 0;
      else reader.skip(tag);
    }
  } catch (error) {
    if (error instanceof PartitaError) return false;
    throw error;
  }
  return isUnclean;
}
