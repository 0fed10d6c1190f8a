import sys,time,numpy as np,keras,tensorflow as tf,pathlib
sys.path.insert(0,'/work/main')
from keras import ops
from vidgen_tf.models.video_vae import *
from vidgen_tf.models.vae import kl_to_standard_normal
world=sys.argv[1]; steps=int(sys.argv[2]); cfg=VideoVAEConfig(**eval(sys.argv[3])); tag=sys.argv[4]; batch=int(sys.argv[5]); lr=float(sys.argv[6])
from vidgen_tf.worlds import WORLDS
from vidgen_tf.splits import training_clips
n=3000
p=pathlib.Path(f'/tmp/st/{world}-{cfg.image_size}.npy')
if not p.exists():
    t=time.time(); c=training_clips(WORLDS[world].make(n,seed=1,size=cfg.image_size)); np.save(p,c.frames); print('made',time.time()-t,c.frames.shape,flush=True)
fr=np.load(p,mmap_mode=None)
test=WORLDS[world].make(100,seed=9,size=cfg.image_size).frames
k=cfg.temporal_factor
seg=fr.reshape(-1,k,*fr.shape[2:])
enc,dec=build_video_encoder(cfg),build_video_decoder(cfg)
print('params',enc.count_params(),dec.count_params(),'latents per clip',16//k*cfg.latent_dim,flush=True)
keras.utils.set_random_seed(0)
class M(keras.Model):
    def __init__(s): super().__init__(); s.e,s.d=enc,dec; s.m=keras.metrics.Mean('rec'); s.k=keras.metrics.Mean('kl'); s.g=keras.random.SeedGenerator(1)
    def call(s,x,training=False):
        zm,zl=s.e(x,training=training); z=zm+ops.exp(zl/2)*keras.random.normal(ops.shape(zm),seed=s.g) if training else zm
        return s.d(z,training=training),zm,zl
    def compute_loss(s,x=None,y=None,y_pred=None,sample_weight=None,training=True):
        r,zm,zl=y_pred
        e=ops.square(x-r)
        if cfg.change_weight:
            w=1+cfg.change_weight*ops.abs(x-ops.mean(x,axis=1,keepdims=True)); l=ops.mean(ops.sum(e*w,axis=(1,2,3,4)))
        else: l=ops.mean(ops.sum(e,axis=(1,2,3,4)))
        kl=ops.mean(ops.sum(kl_to_standard_normal(zm,zl),axis=1))
        s.m.update_state(ops.mean(e)); s.k.update_state(kl)
        return l+cfg.beta*kl
m=M()
ds=tf.data.Dataset.from_tensor_slices(np.arange(len(seg))).shuffle(len(seg),seed=0).repeat().batch(batch)
ds=ds.map(lambda i: tf.numpy_function(lambda j: seg[j],[i],tf.uint8)).map(lambda x: tf.cast(tf.ensure_shape(x,(None,*seg.shape[1:])),tf.float32)/127.5-1).prefetch(2)
sch=keras.optimizers.schedules.CosineDecay(lr,steps)
m.compile(keras.optimizers.Adam(sch),jit_compile=False)
t=time.time()
class CB(keras.callbacks.Callback):
    def on_epoch_end(s,e,l):
        ts=test.reshape(-1,k,*test.shape[2:])[:200]/127.5-1
        r=np.asarray(m(ts.astype('f'))[0]); mse=((r-ts)**2).mean(axis=(1,2,3,4))/4
        print(e,round(time.time()-t),{a:float(b) for a,b in l.items()},'psnr',(-10*np.log10(mse)).mean(),flush=True)
m.fit(ds,steps_per_epoch=steps//8,epochs=8,verbose=0,callbacks=[CB()])
enc.save_weights(f'/tmp/st/{tag}-enc.weights.h5'); dec.save_weights(f'/tmp/st/{tag}-dec.weights.h5')
import imageio.v3 as iio
ts=test[:8].reshape(-1,k,*test.shape[2:])/127.5-1
r=np.asarray(m(ts.astype('f'))[0]).reshape(8,16,*test.shape[2:])
r=((r+1)*127.5).clip(0,255).astype('u1')
S=cfg.image_size
rows=[np.concatenate([x[i,::3].transpose(1,0,2,3).reshape(S,-1,3) for i in range(4)],0) for x in (test[:8],r)]
im=np.concatenate(rows,1); im=im.repeat(2,0).repeat(2,1); iio.imwrite(f'/tmp/st/{tag}.png',im)
