"""Models built from the zoo's records: a name and a configuration become a `keras.Model`."""

from ..errors import CourseError
from ..models.animator import Animator, AnimatorConfig
from ..models.autoregressive import GPT, GPTConfig
from ..models.classifier import ClassifierConfig, build_classifier
from ..models.colorizer import Colorizer, ColorizerConfig
from ..models.conditional_dit import ConditionalDiffusion, ConditionalDiffusionConfig
from ..models.convlstm import ConvLSTM, ConvLSTMConfig
from ..models.dcgan import DCGANConfig, build_dcgan_generator
from ..models.dit import DiffusionConfig, LatentDiffusion
from ..models.flow_gan import FlowGANConfig, build_flow_generator
from ..models.gan import MLPGANConfig, build_mlp_generator
from ..models.glo import GLO, GLOConfig
from ..models.latent_rnn import LatentGRU, LatentRNNConfig, LatentSVG
from ..models.optical_flow import FlowNet, FlowNetConfig
from ..models.patch_autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from ..models.simvp import SimVPConfig, build_simvp
from ..models.space_time_dit import SpaceTimeConfig, SpaceTimeDiffusion
from ..models.style import TextureConfig, build_texture_network
from ..models.style_transfer import StyleConfig, build_style_network
from ..models.vae import VAE, VAEConfig
from ..models.video_classifier import VideoClassifierConfig, build_video_classifier
from ..models.video_gan import VideoGANConfig, VideoGenerator
from ..models.video_tokenizer import VideoTokenizer, VideoTokenizerConfig

# Name in a record -> the class of its configuration, and a function from the configuration and a seed to the model.
MODELS = {
    "GLO": (GLOConfig, lambda config, seed: GLO(config.num_frames, config)),
    "MLPGenerator": (MLPGANConfig, lambda config, seed: build_mlp_generator(config)),
    "DCGANGenerator": (DCGANConfig, lambda config, seed: build_dcgan_generator(config)),
    "FlowNet": (FlowNetConfig, lambda config, seed: FlowNet(config)),
    "FlowGenerator": (FlowGANConfig, lambda config, seed: build_flow_generator(config)),
    "VideoGenerator": (VideoGANConfig, lambda config, seed: VideoGenerator(config)),
    "VAE": (VAEConfig, VAE),
    "ConvLSTM": (ConvLSTMConfig, lambda config, seed: ConvLSTM(config)),
    "SimVP": (SimVPConfig, lambda config, seed: build_simvp(config)),
    "LatentGRU": (LatentRNNConfig, lambda config, seed: LatentGRU(config)),
    "LatentSVG": (LatentRNNConfig, LatentSVG),
    "LatentDiffusion": (DiffusionConfig, lambda config, seed: LatentDiffusion(config)),
    "PatchAutoencoder": (PatchAutoencoderConfig, lambda config, seed: PatchAutoencoder(config)),
    "SpaceTimeDiffusion": (SpaceTimeConfig, lambda config, seed: SpaceTimeDiffusion(config)),
    "Animator": (AnimatorConfig, lambda config, seed: Animator(config)),
    "ConditionalDiffusion": (ConditionalDiffusionConfig, lambda config, seed: ConditionalDiffusion(config)),
    "Colorizer": (ColorizerConfig, Colorizer),
    "VideoTokenizer": (VideoTokenizerConfig, lambda config, seed: VideoTokenizer(config)),
    "GPT": (GPTConfig, GPT),
    "Classifier": (ClassifierConfig, lambda config, seed: build_classifier(config)),
    "VideoClassifier": (VideoClassifierConfig, lambda config, seed: build_video_classifier(config)),
    "TextureNetwork": (TextureConfig, lambda config, seed: build_texture_network(config)),
    "StyleNetwork": (StyleConfig, lambda config, seed: build_style_network(config)),
}


def build_model(name, config, seed):
    """The untrained model of a name and a configuration.

    Args:
        name: str, a name in `MODELS`.
        config: dict of the fields of its configuration, lists in place of tuples where it comes from a file.
        seed: int, of what it draws while it trains.

    Returns:
        `keras.Model`.

    Raises:
        CourseError: unknown name, or fields that the configuration doesn't have.
    """
    if name not in MODELS:
        raise CourseError(f"There is no model {name!r}; there are {', '.join(MODELS)}.")
    config_class, build = MODELS[name]
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    try:
        config = config_class(**fields)
    except TypeError as error:
        raise CourseError(f"The configuration of {name} has fields that this version doesn't know: {error}.") from error
    return build(config, seed)
