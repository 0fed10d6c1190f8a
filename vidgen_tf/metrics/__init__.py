"""Metrics: what can be measured of images and clips.

    image           frames: PSNR, SSIM, sharpness
    motion          clips in time: static clips, flicker, temporal autocorrelation, optical flow, warping error
    distribution    sets of feature vectors: Fréchet and kernel distance, precision and recall, density and coverage
    intervals       how far a measured value may lie from the true one
    memorization    nearest training images and clips
    prediction      predicted frames: error, baseline, causality, diversity of samples, error accumulation
    latents         the order of frames in latent space
    tracking        the objects of a clip, followed over time
    physics         the laws of motion that tracked objects should keep to
    bouncing        the same of one ball of the spheres, against its exact states

NumPy, SciPy and scikit-image only. A function is imported from its module, nothing from here.
"""
