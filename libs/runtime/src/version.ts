/** The version of this Partita: SemVer, one for all packages. */
import manifest from '../package.json' with { type: 'json' };

export const PRODUCT_VERSION: string = manifest.version;
