/** The file `topic.config` of a broker's data directory, a serialised TopicConfig. */
import { topicNameFault } from '@partita/domain';
import { FlushMode, TopicConfig } from '@partita/protocol';

/** What a topic.config says, as far as its logs need it. */
export interface StoredTopic {
  readonly config: TopicConfig;
  readonly flush: 'fsync' | 'os';
}

/** What the file says, or why it cannot be that of this topic. */
export function parseTopicConfig(
  bytes: Uint8Array | 'damaged' | 'newer',
  topicId: string,
): StoredTopic | { readonly fault: string } {
  if (bytes === 'damaged') return { fault: 'it does not match its checksum' };
  if (bytes === 'newer') return { fault: 'it is of a newer format than this release reads' };
  let config: TopicConfig;
  try {
    config = TopicConfig.decode(bytes);
  } catch (error) {
    return { fault: `it is no TopicConfig: ${error instanceof Error ? error.message : String(error)}` };
  }
  const nameFault = topicNameFault(config.topic);
  if (nameFault !== undefined) return { fault: nameFault };
  if (config.topicId !== topicId) return { fault: `it is of topic ${config.topicId}, the directory of ${topicId}` };
  const numbers = config.partitions.map(({ partition }) => partition);
  if (numbers.length === 0 || numbers.some((number, index) => number !== index)) {
    return { fault: `its partitions are not numbered from 0: ${numbers.slice(0, 10).join(', ')}` };
  }
  return {
    config,
    flush: config.settings?.flush === FlushMode.FLUSH_MODE_OS ? 'os' : 'fsync',
  };
}
